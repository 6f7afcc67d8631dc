//! x
pub(crate) async fn serve(
    _visit: crate::core::Visit,
    _client: tokio::net::TcpStream,
    _node: crate::entrance::NodePort,
) {
}

//! ModifyInstanceAttribute: an instance's security groups.

use serde_json::Value;
use topologies::security_group::Guarded;
use wire::{Fault, Record};

use super::{here, not_found};
use crate::aws::ec2::security_groups;
use crate::aws::input::{only, text, texts};
use crate::aws::security_groups::give;
use crate::aws::{Decision, View, ids};

pub(in crate::aws::ec2) fn modify(view: &View<'_>, input: &Value) -> Result<Decision, Fault> {
    only(
        "ModifyInstanceAttribute",
        input,
        &["DryRun", "Groups", "InstanceId"],
    )?;
    let id = text(input, "InstanceId").unwrap_or_default();
    let instance = here(view, ids::find_instance(view.plan, id)).ok_or_else(|| not_found(&[id]))?;
    let asked = texts(input, "Groups");
    if asked.is_empty() {
        let text = "No attributes specified.";
        return Err(Fault::sender("InvalidParameterCombination", text));
    }
    let groups = security_groups::for_interface(view, &asked, &[])?;
    let member = Guarded::Instance(instance.id.clone());
    Ok((Record::new(), vec![give(view, member, groups)]))
}

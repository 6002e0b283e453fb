//! The Kubernetes contract: the resource `DatabaseSchema`, its conditions and its CRD. Pure: no
//! client, no clock, no I/O.

pub mod condition;
pub mod crd;
pub mod credentials;
pub mod decision;
pub mod duration;
pub mod time;
pub mod v1alpha1;

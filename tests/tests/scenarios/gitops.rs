//! What GitOps tools see of objects, what becomes of objects that several manage, and what a new version makes of an old
//! one's. The verdicts are those of the tools' own libraries: see `tests/gitops`.
#![cfg(test)]

mod argocd;
mod drift;
mod examples;
mod managers;
mod pages;
mod recorded;
mod situations;
mod upgrade;
mod upgraded_page;
pub mod verdicts;

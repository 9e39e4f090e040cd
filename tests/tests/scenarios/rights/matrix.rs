//! The tables of `docs/security.md`, cell by cell: what they say is what the API server says.

use std::fmt::Write as _;

use futures::future::join_all;
use hcs_tests::binaries;
use kube::Client;

use super::ask::{Verb, ask};
use super::targets::Resource;
use super::world::World;

/// A section of the document, up to the next heading of any level.
fn section(heading: &str) -> String {
    let text = std::fs::read_to_string(binaries::workspace().join("docs/security.md")).unwrap();
    let (_, rest) = text.split_once(&format!("\n### {heading}\n")).unwrap();
    rest.split("\n#").next().unwrap().to_owned()
}

/// Rows of the section's table, below its heading: each the cells' text.
fn rows(section: &str) -> Vec<Vec<String>> {
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        let line = line.trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}

/// The resources that the section names outside of its table.
fn listed(section: &str) -> Vec<String> {
    let prose = section.lines().filter(|line| !line.starts_with('|'));
    let prose = prose.collect::<Vec<_>>().join("\n");
    let names = prose.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// One row's answers, as its table has them.
async fn answers(world: &World, client: &Client, resource: &str) -> Vec<String> {
    let target = world.target(resource);
    let target = &target;
    join_all(Verb::ALL.map(|verb| async move {
        if verb.is_of_collection() && !target.subresource.is_empty() {
            return "–".to_owned();
        }
        ask(client, verb, target)
            .await
            .map_or_else(|odd| odd, |answer| answer.word().to_owned())
    }))
    .await
}

/// What was asked, what differs, and how it looks.
#[derive(Default)]
struct Matrix {
    cells: usize,
    wrong: Vec<String>,
    table: String,
}

impl Matrix {
    async fn row(
        &mut self,
        world: &World,
        client: &Client,
        name: &str,
        resource: &str,
        expected: &[String],
    ) {
        let found = answers(world, client, resource).await;
        self.cells += found.iter().filter(|cell| *cell != "–").count();
        writeln!(self.table, "| {name} | {} |", found.join(" | ")).unwrap();
        for (verb, (found, expected)) in Verb::ALL.iter().zip(found.iter().zip(expected)) {
            if found != expected {
                self.wrong.push(format!(
                    "{name} {}: {found}, and the table says {expected}",
                    verb.name()
                ));
            }
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }

    fn is_right(&self, of: &str) {
        println!(
            "{}{of}: {} cells asked of the API server",
            self.table, self.cells
        );
        assert!(
            self.wrong.is_empty(),
            "{}\n{}",
            self.table,
            self.wrong.join("\n")
        );
    }
}

/// Every verb of a resource that nothing may be done with.
fn nothing(resource: &str) -> Vec<String> {
    let sub = !Resource::named(resource).subresource.is_empty();
    let word = |verb: Verb| {
        if sub && verb.is_of_collection() {
            "–"
        } else {
            "no"
        }
    };
    Verb::ALL.map(|verb| word(verb).to_owned()).to_vec()
}

#[tokio::test]
async fn each_cell_of_the_agents_table_is_what_the_api_server_answers() {
    let world = World::new("agent-rights").await;
    let tokens = [
        ("own node", &world.of_node),
        ("other node", &world.of_other),
        ("no node", &world.of_none),
    ];
    let section = section("The agent's");
    let mut matrix = Matrix::default();
    let mut resource = String::new();
    let rows = rows(&section);
    assert_eq!(rows.len() % tokens.len(), 0);
    for row in &rows {
        if !row[0].is_empty() {
            row[0].trim_matches('`').clone_into(&mut resource);
        }
        let client = tokens.iter().find(|(token, _)| *token == row[1]).unwrap().1;
        matrix
            .row(
                &world,
                client,
                &format!("{resource} | {}", row[1]),
                &resource,
                &row[2..],
            )
            .await;
    }
    for resource in listed(&section) {
        for (token, client) in tokens {
            matrix
                .row(
                    &world,
                    client,
                    &format!("{resource} | {token}"),
                    &resource,
                    &nothing(&resource),
                )
                .await;
        }
    }
    matrix.is_right("the agent");
    assert!(matrix.cells > 900, "only {}", matrix.cells);
}

#[tokio::test]
async fn each_cell_of_the_controllers_table_is_what_the_api_server_answers() {
    let world = World::new("controller-rights").await;
    let section_of_controller = section("The controller's");
    let mut matrix = Matrix::default();
    let mut in_table = Vec::new();
    for row in rows(&section_of_controller) {
        let resource = row[0].split('`').nth(1).unwrap().to_owned();
        matrix
            .row(&world, &world.controller, &resource, &resource, &row[1..])
            .await;
        in_table.push(resource);
    }
    for resource in listed(&section("The agent's")) {
        if !in_table.contains(&resource) {
            matrix
                .row(
                    &world,
                    &world.controller,
                    &resource,
                    &resource,
                    &nothing(&resource),
                )
                .await;
        }
    }
    matrix.is_right("the controller");
    assert!(matrix.cells > 300, "only {}", matrix.cells);
}

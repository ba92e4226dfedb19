//! For tests: applies patches as RFC 5261 says, and knows nothing of how they are made.
//!
//! Everything that a selector names must be there, once. White space between elements says nothing.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    children: Vec<Tree>,
}

/// What a text says.
pub fn read(text: &str) -> Tree {
    let document = Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    tree(document.root_element())
}

fn tree(node: Node<'_, '_>) -> Tree {
    let attributes = node.attributes();
    let texts = node.children().filter(Node::is_text);
    Tree {
        name: node.tag_name().name().to_owned(),
        attributes: attributes.map(|one| (one.name().to_owned(), one.value().to_owned())).collect(),
        text: texts.map(|text| text.text().unwrap_or_default().trim()).collect(),
        children: node.children().filter(Node::is_element).map(tree).collect(),
    }
}

/// What a selector names.
enum Place<'t> {
    /// The element itself, by its parent and its place there.
    Element(&'t mut Tree, usize),
    Attribute(&'t mut Tree, String),
    Root(&'t mut Tree),
}

/// A manifest that has become what a patch makes of it.
pub fn applied(manifest: &str, patch: &str) -> Tree {
    let mut tree = read(manifest);
    let document = Document::parse(patch).unwrap_or_else(|error| panic!("{error}: {patch}"));
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "Patch");
    assert_eq!(root.tag_name().namespace(), Some("urn:mpeg:dash:schema:mpd-patch:2020"));
    assert_eq!(root.attribute("mpdId"), tree.attributes.get("id").map(String::as_str));
    let published = tree.attributes.get("publishTime").map(String::as_str);
    assert_eq!(root.attribute("originalPublishTime"), published);
    for operation in root.children().filter(Node::is_element) {
        apply(&mut tree, operation);
    }
    let published = tree.attributes.get("publishTime").map(String::as_str);
    assert_eq!(root.attribute("publishTime"), published);
    tree
}

fn apply(root: &mut Tree, operation: Node<'_, '_>) {
    let selector = operation.attribute("sel").expect("it selects something");
    let text = || operation.text().unwrap_or_default().to_owned();
    let new = || operation.children().filter(Node::is_element).map(self::tree);
    match (operation.tag_name().name(), place(root, selector)) {
        ("remove", Place::Attribute(of, name)) => {
            assert!(of.attributes.remove(&name).is_some(), "{selector}");
        }
        ("remove", Place::Element(parent, at)) => drop(parent.children.remove(at)),
        ("replace", Place::Attribute(of, name)) => {
            assert!(of.attributes.insert(name, text()).is_some(), "{selector}");
        }
        ("replace", Place::Element(parent, at)) => {
            assert_eq!(new().count(), 1, "{selector}");
            parent.children.splice(at..=at, new());
        }
        ("add", place) => add(operation, place, new().collect(), text()),
        (what, _) => panic!("{what} {selector}"),
    }
}

fn add(operation: Node<'_, '_>, place: Place<'_>, new: Vec<Tree>, text: String) {
    if let Some(name) = operation.attribute("type") {
        let name = name.strip_prefix('@').expect("an attribute").to_owned();
        let of = match place {
            Place::Element(parent, at) => &mut parent.children[at],
            Place::Root(root) => root,
            Place::Attribute(..) => panic!("an attribute has none"),
        };
        assert!(of.attributes.insert(name, text).is_none());
        return;
    }
    assert!(!new.is_empty());
    match (operation.attribute("pos"), place) {
        (Some("after"), Place::Element(parent, at)) => {
            parent.children.splice(at + 1..at + 1, new);
        }
        (Some("before"), Place::Element(parent, at)) => {
            parent.children.splice(at..at, new);
        }
        (pos @ (None | Some("prepend")), place) => {
            let of = match place {
                Place::Element(parent, at) => &mut parent.children[at],
                Place::Root(root) => root,
                Place::Attribute(..) => panic!("an attribute has none"),
            };
            let at = if pos.is_some() { 0 } else { of.children.len() };
            of.children.splice(at..at, new);
        }
        (pos, _) => panic!("{pos:?}"),
    }
}

/// Where a selector leads: `/MPD/Period[@id='0']/AdaptationSet[2]/@lang`.
fn place<'t>(root: &'t mut Tree, selector: &str) -> Place<'t> {
    let mut steps = selector.strip_prefix("/MPD").expect("it is absolute").split('/').skip(1);
    assert_eq!(root.name, "MPD");
    let mut at = root;
    let mut step = match steps.next() {
        None => return Place::Root(at),
        Some(step) => step,
    };
    loop {
        if let Some(name) = step.strip_prefix('@') {
            assert_eq!(steps.next(), None, "{selector}");
            return Place::Attribute(at, name.to_owned());
        }
        let (name, predicate) = step.split_once('[').unwrap_or((step, ""));
        let predicate = predicate.strip_suffix(']').unwrap_or(predicate);
        let alike = (0..at.children.len()).filter(|&child| at.children[child].name == name);
        let alike: Vec<_> = if let Some(id) = predicate.strip_prefix("@id='") {
            let id = id.strip_suffix('\'').expect("it is quoted");
            let is =
                |child: &usize| at.children[*child].attributes.get("id").is_some_and(|of| of == id);
            alike.filter(is).collect()
        } else if let Ok(number) = predicate.parse::<usize>() {
            alike.skip(number - 1).take(1).collect()
        } else {
            assert_eq!(predicate, "", "{selector}");
            alike.collect()
        };
        let [child] = alike[..] else { panic!("{selector}: {alike:?}") };
        step = match steps.next() {
            None => return Place::Element(at, child),
            Some(step) => step,
        };
        at = &mut at.children[child];
    }
}

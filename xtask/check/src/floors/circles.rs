// SPDX-License-Identifier: GPL-2.0
//! Circles of imports, and a small set of imports whose removal breaks them.

use petgraph::algo::{greedy_feedback_arc_set, is_cyclic_directed, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::{BTreeMap, BTreeSet};

use super::imports::Import;

/// Files that import each other, of `files` in all: the largest circle first.
pub(super) fn find(files: usize, imports: &[Import]) -> Vec<Vec<usize>> {
    let mut graph: DiGraph<(), ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..files).map(|_| graph.add_node(())).collect();
    for import in imports {
        graph.update_edge(nodes[import.from], nodes[import.to], ());
    }
    let mut circles: Vec<Vec<usize>> = tarjan_scc(&graph)
        .iter()
        .filter(|circle| circle.len() > 1)
        .map(|circle| circle.iter().map(|node| node.index()).collect())
        .collect();
    for circle in &mut circles {
        circle.sort_unstable();
    }
    circles.sort_by_key(|circle| (usize::MAX - circle.len(), circle[0]));
    circles
}

/// Pairs of files of `circle` whose imports, when removed, leave no circle; none of them could stay. There may be a
/// smaller set, which would take long to find.
pub(super) fn cut(circle: &[usize], imports: &[Import]) -> Vec<(usize, usize)> {
    let place: BTreeMap<usize, usize> = circle.iter().copied().zip(0..).collect();
    let pairs: BTreeSet<(usize, usize)> = imports
        .iter()
        .filter_map(|it| Some((*place.get(&it.from)?, *place.get(&it.to)?)))
        .collect();
    let graph = |left_out: &[(usize, usize)]| {
        let mut graph: DiGraph<(), ()> = DiGraph::new();
        let nodes: Vec<NodeIndex> = circle.iter().map(|_| graph.add_node(())).collect();
        for pair in pairs.iter().filter(|pair| !left_out.contains(pair)) {
            graph.add_edge(nodes[pair.0], nodes[pair.1], ());
        }
        graph
    };
    let whole = graph(&[]);
    let mut cut: Vec<(usize, usize)> = greedy_feedback_arc_set(&whole)
        .map(|edge| (edge.source().index(), edge.target().index()))
        .collect();
    for pair in cut.clone() {
        let without: Vec<_> = cut.iter().copied().filter(|it| *it != pair).collect();
        if !is_cyclic_directed(&graph(&without)) {
            cut = without;
        }
    }
    let mut cut: Vec<_> = cut.iter().map(|it| (circle[it.0], circle[it.1])).collect();
    cut.sort_unstable();
    cut
}

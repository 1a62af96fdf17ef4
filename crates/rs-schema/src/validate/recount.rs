//! Self and total recomputed from the base columns, independently of the crate that writes them.

/// For each group of frames: weight with a frame of the group innermost, and weight with one anywhere on the
/// stack, counted once however often it recurs.
pub(super) struct Recount {
    pub self_weight: Vec<u128>,
    pub total_weight: Vec<u128>,
}

/// A prefix tree whose parents stand before their children, made ready to be walked.
pub(super) struct Tree {
    first_child: Vec<Option<u32>>,
    next_sibling: Vec<Option<u32>>,
    roots: Vec<u32>,
    parent: Vec<Option<u32>>,
}

impl Tree {
    /// From the parent of each node; the caller has checked that each is smaller than its child.
    pub(super) fn new(parent: Vec<Option<u32>>) -> Tree {
        let mut tree = Tree {
            first_child: vec![None; parent.len()],
            next_sibling: vec![None; parent.len()],
            roots: Vec::new(),
            parent,
        };
        for node in 0..tree.parent.len() {
            match tree.parent[node] {
                Some(up) => {
                    tree.next_sibling[node] = tree.first_child[up as usize].replace(node as u32);
                }
                None => tree.roots.push(node as u32),
            }
        }
        tree
    }

    /// Recounts `weight` of each node by the group of its frame. Takes time in proportion to the nodes, however
    /// deep they lie.
    pub(super) fn recount(&self, weight: &[u128], group: &[Option<u32>], groups: usize) -> Recount {
        let mut subtree = weight.to_vec();
        for node in (0..subtree.len()).rev() {
            if let Some(parent) = self.parent[node] {
                subtree[parent as usize] += subtree[node];
            }
        }
        let mut recount = Recount { self_weight: vec![0; groups], total_weight: vec![0; groups] };
        let mut on_path = vec![0u32; groups];
        for &root in &self.roots {
            let mut next = Some(root);
            while let Some(node) = next {
                let n = node as usize;
                if let Some(group) = group[n] {
                    let g = group as usize;
                    recount.self_weight[g] += weight[n];
                    if on_path[g] == 0 {
                        recount.total_weight[g] += subtree[n];
                    }
                    on_path[g] += 1;
                }
                next = self.first_child[n].or_else(|| self.leave(node, group, &mut on_path));
            }
        }
        recount
    }

    /// Leaves nodes upward until one has a sibling, and enters that.
    fn leave(&self, mut node: u32, group: &[Option<u32>], on_path: &mut [u32]) -> Option<u32> {
        loop {
            if let Some(group) = group[node as usize] {
                on_path[group as usize] -= 1;
            }
            let parent = self.parent[node as usize]?;
            match self.next_sibling[node as usize] {
                Some(sibling) => return Some(sibling),
                None => node = parent,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursion_counts_once() {
        // a ─ b ─ a ─ b, and a ─ c; a second root c.
        let tree = Tree::new(vec![None, Some(0), Some(1), Some(2), Some(0), None]);
        let group = [Some(0), Some(1), Some(0), Some(1), Some(2), Some(2)];
        let recount = tree.recount(&[1, 10, 100, 1000, 10_000, 100_000], &group, 3);
        assert_eq!(recount.self_weight, [101, 1010, 110_000]);
        assert_eq!(recount.total_weight, [11_111, 1110, 110_000]);
    }

    #[test]
    fn a_chain_of_a_million_nodes_is_no_trouble() {
        let n = 1_000_000u32;
        let tree = Tree::new((0..n).map(|node| node.checked_sub(1)).collect());
        let recount = tree.recount(&vec![1; n as usize], &vec![Some(0); n as usize], 1);
        assert_eq!(recount.total_weight, [u128::from(n)]);
    }
}

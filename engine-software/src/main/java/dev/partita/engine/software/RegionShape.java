package dev.partita.engine.software;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// Which blocks make a region, and how control goes between them. Found on the processor's own
/// thread, which knows where pages are mapped; translated on another.
///
/// From the entry it follows jumps, calls and what comes after them, and the targets that indirect
/// jumps were seen to take, as far as the code was decoded (so it ran) and ran often.
final class RegionShape {
  /// Most guest instructions in a region.
  static final int MAX_INSTRUCTIONS = 180;

  /// Fewest instructions in a region without a loop.
  private static final int MIN_INSTRUCTIONS = 8;

  private static final int MAX_PAGES = 8;

  /// A function that returns to more places outside the region than that is not followed there.
  private static final int MAX_CALLERS = 2;

  /// How far from the entry code may lie, in bytes: keeps all distances in 32 bits.
  private static final long REACH = 1L << 30;

  /// One block of a region.
  static final class Node {
    final Block block;

    /// From the entry's RIP to the block's.
    final long offset;

    /// Nodes that control may go to, by what the last operation is: see {@link RegionEmitter}.
    @Nullable Node taken;

    @Nullable Node next;

    /// For an indirect jump or call, or a return: where it may go.
    final List<Node> targets = new ArrayList<>();

    /// Number of edges within the region that lead here.
    int predecessors;

    /// Place in the order of emission, or -1.
    int order = -1;

    /// Whether the region can be entered here.
    boolean isEntry;

    Node(Block block, long offset) {
      this.block = block;
      this.offset = offset;
    }

    Operation last() {
      return block.operations[block.operations.length - 1];
    }

    List<Node> successors() {
      var all = new ArrayList<Node>(targets);
      if (next != null) {
        all.addFirst(next);
      }
      if (taken != null) {
        all.add(taken);
      }
      return all;
    }
  }

  final List<Node> nodes = new ArrayList<>();

  /// The entry's linear address when the shape was found: regions are position-independent, but
  /// for whoever looks at profiles.
  long rip;

  /// The region that is to give way to one of this shape, which begins with the same block.
  @Nullable Region replaces;

  final int mode;
  final int[] pageDistance;
  final long[] pageOffset;

  private RegionShape(int mode, Map<Integer, Long> pages) {
    this.mode = mode;
    pageDistance = pages.keySet().stream().skip(1).mapToInt(Integer::intValue).toArray();
    pageOffset = pages.values().stream().skip(1).mapToLong(Long::longValue).toArray();
  }

  Node entry() {
    return nodes.getFirst();
  }

  /// The shape of given nodes, all in the entry's page; edges are set already.
  static RegionShape of(List<Node> nodes) {
    var first = nodes.getFirst().block;
    var shape = new RegionShape(first.mode, Map.of(0, first.address & ~0xFFFL));
    shape.nodes.addAll(nodes);
    shape.countPredecessors();
    return shape;
  }

  /// A part of it, from the same entry: about half the nodes, those found first.
  RegionShape smaller() {
    int kept = nodes.size() / 2;
    var copies = new HashMap<Node, Node>();
    for (var node : nodes.subList(0, kept)) {
      copies.put(node, new Node(node.block, node.offset));
    }
    var shape = new RegionShape(mode, pageDistance, pageOffset);
    shape.rip = rip;
    for (var node : nodes.subList(0, kept)) {
      var copy = copies.get(node);
      if (copy != null) {
        copy.taken = copies.get(node.taken);
        copy.next = copies.get(node.next);
        node.targets.stream().map(copies::get).filter(Objects::nonNull).forEach(copy.targets::add);
        shape.nodes.add(copy);
      }
    }
    shape.countPredecessors();
    return shape;
  }

  /// How many ways of indirect jumps and returns it knows.
  int targets() {
    return nodes.stream().mapToInt(node -> node.targets.size()).sum();
  }

  private RegionShape(int mode, int[] pageDistance, long[] pageOffset) {
    this.mode = mode;
    this.pageDistance = pageDistance;
    this.pageOffset = pageOffset;
  }

  /// Whether it is worth its making: code that is left at once again is as fast interpreted.
  boolean isWorthwhile() {
    int instructions = 0;
    for (var node : nodes) {
      instructions += node.block.instructions;
    }
    return instructions >= MIN_INSTRUCTIONS || hasLoop();
  }

  /// Whether some way leads back to where it came from: nodes that lead to none of the others
  /// are taken away until none is left, or a loop.
  private boolean hasLoop() {
    var left = new ArrayList<>(nodes);
    while (left.removeIf(node -> left.stream().noneMatch(to -> node.successors().contains(to)))) {
      // Once more.
    }
    return !left.isEmpty();
  }

  private void countPredecessors() {
    for (var node : nodes) {
      for (var successor : node.successors()) {
        successor.predecessors++;
      }
    }
  }

  /// Finds the shape of the region that begins with a block.
  ///
  /// @param base the block's linear address, where it runs now
  /// @param limit most instructions, but one block is always there
  static RegionShape of(Block entry, long base, Cpu c, int limit) {
    return new Search(entry, base, c, limit).run();
  }

  private static final class Search {
    private final long base;
    private final Cpu c;
    private final int mode;
    private final int limit;
    private final Map<Long, Node> found = new LinkedHashMap<>();
    private final ArrayDeque<Node> open = new ArrayDeque<>();

    /// Linear pages relative to the entry's, and their offset in RAM; the entry's is the first.
    private final Map<Integer, Long> pages = new LinkedHashMap<>();

    private int instructions;

    Search(Block entry, long base, Cpu c, int limit) {
      this.base = base;
      this.c = c;
      this.mode = entry.mode;
      this.limit = limit;
      pages.put(0, entry.address & ~0xFFFL);
      if (entry.secondPage >= 0) {
        pages.put(1, entry.secondPage & ~0xFFFL);
      }
      take(new Node(entry, 0));
    }

    private void take(Node node) {
      found.put(node.offset, node);
      open.add(node);
      instructions += node.block.instructions;
    }

    RegionShape run() {
      while (!open.isEmpty()) {
        follow(open.poll());
      }
      var shape = new RegionShape(mode, pages);
      shape.rip = base;
      shape.nodes.addAll(found.values());
      connectReturns(shape.nodes);
      shape.countPredecessors();
      return shape;
    }

    private void follow(Node node) {
      var last = node.last();
      switch (last.follow()) {
        case NEXT -> {
          var operations = node.block.operations;
          boolean ends =
              operations.length > 1
                  && operations[operations.length - 2].flow() == Operation.Flow.END;
          if (!ends) {
            node.next = at(node.offset + last.end);
          }
        }
        case JUMP -> node.taken = at(node.offset + last.target());
        case CONDITIONAL -> {
          node.next = at(node.offset + last.end);
          node.taken = at(node.offset + last.target());
        }
        case CALL -> {
          node.taken = at(node.offset + last.target());
          if (node.taken != null) {
            at(node.offset + last.end);
          }
        }
        case INDIRECT_JUMP, INDIRECT_CALL -> {
          for (long target : node.block.seenTargets()) {
            var to = at(node.offset + target);
            if (to != null && !node.targets.contains(to)) {
              node.targets.add(to);
            }
          }
          if (last.follow() == Operation.Follow.INDIRECT_CALL && !node.targets.isEmpty()) {
            at(node.offset + last.end);
          }
        }
        case REPEAT -> node.next = at(node.offset + last.end);
        case RETURN -> {
          // Where a region was left often; the callers within it are added at the end.
          var seen = node.block.seenTargets();
          if (seen.length <= MAX_CALLERS) {
            for (long target : seen) {
              var to = at(node.offset + target);
              if (to != null && !node.targets.contains(to)) {
                node.targets.add(to);
              }
            }
          }
        }
        case LEAVE -> {}
      }
    }

    /// The node at a distance from the entry, taken into the region if it can be.
    private @Nullable Node at(long offset) {
      var known = found.get(offset);
      if (known != null) {
        return known;
      }
      if (offset > REACH || offset < -REACH) {
        return null;
      }
      int distance = (int) (((base + offset) >> 12) - (base >> 12));
      var page = page(distance);
      if (page < 0) {
        return null;
      }
      var block = c.owner.partition().code().find(page | (base + offset & 0xFFF), mode);
      if (block == null
          || block.heat > SoftwareProcessor.HEAT - SoftwareProcessor.WARM
          || instructions + block.instructions > limit) {
        return null;
      }
      if (block.secondPage >= 0) {
        if (page(distance + 1) != (block.secondPage & ~0xFFFL) || !note(distance + 1)) {
          return null;
        }
      }
      if (!note(distance)) {
        return null;
      }
      var node = new Node(block, offset);
      take(node);
      return node;
    }

    private long page(int distance) {
      var known = pages.get(distance);
      return known != null
          ? known
          : c.mmu.peekFetch((base & ~0xFFFL) + ((long) distance << 12)) & ~0xFFFL;
    }

    private boolean note(int distance) {
      if (!pages.containsKey(distance)) {
        if (pages.size() == MAX_PAGES) {
          return false;
        }
        pages.put(distance, page(distance));
      }
      return true;
    }

    /// A return may go behind each call from which it can be reached without another return.
    private static void connectReturns(List<Node> nodes) {
      var byOffset = new HashMap<Long, Node>();
      nodes.forEach(node -> byOffset.put(node.offset, node));
      for (var call : nodes) {
        var follow = call.last().follow();
        if (follow != Operation.Follow.CALL && follow != Operation.Follow.INDIRECT_CALL) {
          continue;
        }
        var behind = byOffset.get(call.offset + call.last().end);
        if (behind == null) {
          continue;
        }
        var callees = new ArrayList<>(call.targets);
        if (call.taken != null) {
          callees.add(call.taken);
        }
        for (var callee : callees) {
          for (var node : body(callee, byOffset)) {
            if (node.last().follow() == Operation.Follow.RETURN
                && node.targets.size() < 8
                && !node.targets.contains(behind)) {
              node.targets.add(behind);
            }
          }
        }
      }
    }

    /// What belongs to the function that begins with a node.
    private static List<Node> body(Node first, Map<Long, Node> byOffset) {
      var seen = new ArrayList<Node>();
      var todo = new ArrayDeque<Node>();
      todo.add(first);
      while (!todo.isEmpty()) {
        var node = todo.poll();
        if (seen.contains(node)) {
          continue;
        }
        seen.add(node);
        switch (node.last().follow()) {
          case RETURN -> {}
          case CALL, INDIRECT_CALL -> {
            var behind = byOffset.get(node.offset + node.last().end);
            if (behind != null) {
              todo.add(behind);
            }
          }
          default -> todo.addAll(node.successors());
        }
      }
      return seen;
    }
  }
}

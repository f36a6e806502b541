package dev.partita.engine.software;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// Which blocks make a region, and how control goes between them. Found on the processor's own
/// thread, which knows where pages are mapped; translated on another.
///
/// From the entry it follows jumps, calls and what comes after them, and the targets that indirect
/// jumps were seen to take, as far as the code was decoded (so it ran) and ran often.
final class RegionShape {
  /// Most guest instructions in a region that is made for the first time: many are, and most of
  /// them do not run for long.
  static final int MAX_FIRST = 120;

  /// Most guest instructions that were not seen to run, in a region that is made again.
  private static final int MAX_AGAIN = 180;

  /// Most guest instructions in a region that is made again.
  private static final int MAX_WATCHED = 240;

  /// Fewest instructions in a region without a loop.
  private static final int MIN_INSTRUCTIONS = 8;

  private static final int MAX_PAGES = 16;

  /// A function that returns to more places outside the region is only followed where it was
  // watched.
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

    /// Where control went when it was watched, and how often.
    private Map<Block, Integer> went = Map.of();

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

    /// How often control went on from here to a node when it was watched; 0 for none.
    int went(@Nullable Node to) {
      return to == null ? 0 : went.getOrDefault(to.block, 0);
    }

    /// How often control went on from here to anything.
    int went() {
      return went.values().stream().mapToInt(Integer::intValue).sum();
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

  /// Of the nodes that ran when it was watched, the offsets.
  private Set<Long> watched = Set.of();

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

  /// A part of it, from the same entry: the nodes found first.
  ///
  /// @param part more than 0 and less than 1
  RegionShape smaller(double part) {
    int kept = Math.clamp((int) (nodes.size() * part), 1, nodes.size() - 1);
    var copies = new HashMap<Node, Node>();
    for (var node : nodes.subList(0, kept)) {
      var copy = new Node(node.block, node.offset);
      copy.went = node.went;
      copies.put(node, copy);
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

  /// Whether it has code that ran when it was watched and that another has not, or more ways.
  boolean knowsMoreThan(RegionShape other) {
    var known = new HashSet<Long>();
    other.nodes.forEach(node -> known.add(node.offset));
    return !known.containsAll(watched) || targets() > other.targets();
  }

  /// How many ways of indirect jumps and returns it knows.
  private int targets() {
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
  /// @param watch where it begins, and what ran when that was watched: what ran most is taken first
  /// @param c the processor, which has the block mapped there now
  static RegionShape of(Watch watch, Cpu c) {
    return new Search(watch, c).run();
  }

  /// A block that may be taken, at a distance from the entry.
  private record Candidate(long offset, int runs, int number) implements Comparable<Candidate> {
    /// What ran most first, then what was found first.
    @Override
    public int compareTo(Candidate other) {
      int byRuns = Integer.compare(other.runs, runs);
      return byRuns != 0 ? byRuns : Integer.compare(number, other.number);
    }
  }

  private static final class Search {
    private final long base;
    private final Cpu c;
    private final int mode;
    private final int limit;
    private final Watch watch;
    private final Map<Long, Node> found = new LinkedHashMap<>();
    private final PriorityQueue<Candidate> open = new PriorityQueue<>();
    private final Set<Long> seen = new HashSet<>();
    private final Set<Long> watched = new HashSet<>();

    /// What comes after a call is followed once its target is: by target.
    private final Map<Long, List<Long>> behindCalls = new HashMap<>();

    /// Linear pages relative to the entry's, and their offset in RAM; the entry's is the first.
    private final Map<Integer, Long> pages = new LinkedHashMap<>();

    private final int watchedLimit;

    private int instructions;

    Search(Watch watch, Cpu c) {
      var entry = watch.entry;
      this.base = watch.base;
      this.c = c;
      this.mode = entry.mode;
      boolean first = watch.replaces == null;
      this.limit = first ? MAX_FIRST : MAX_AGAIN;
      this.watchedLimit = first ? MAX_FIRST : MAX_WATCHED;
      this.watch = watch;
      pages.put(0, entry.address & ~0xFFFL);
      if (entry.secondPage >= 0) {
        pages.put(1, entry.secondPage & ~0xFFFL);
      }
      seen.add(0L);
      take(new Node(entry, 0));
    }

    RegionShape run() {
      while (!open.isEmpty()) {
        long offset = open.poll().offset;
        var block = at(offset);
        if (block == null) {
          continue;
        }
        boolean ran = watch.runs(block) > 0;
        if (instructions + block.instructions <= (ran ? watchedLimit : limit)
            && note(offset, block)) {
          take(new Node(block, offset));
          if (ran) {
            watched.add(offset);
          }
        }
      }
      found.values().forEach(this::connect);
      var shape = new RegionShape(mode, pages);
      shape.rip = base;
      shape.nodes.addAll(found.values());
      shape.watched = watched;
      connectReturns(shape.nodes);
      shape.countPredecessors();
      return shape;
    }

    private void take(Node node) {
      found.put(node.offset, node);
      instructions += node.block.instructions;
      var behind = behindCalls.remove(node.offset);
      if (behind != null) {
        behind.forEach(this::consider);
      }
      follow(node);
    }

    /// Where control may go from a node.
    private void follow(Node node) {
      var last = node.last();
      switch (last.follow()) {
        case NEXT, REPEAT -> {
          if (!ends(node)) {
            consider(node.offset + last.end);
          }
        }
        case JUMP -> consider(node.offset + last.target());
        case CONDITIONAL -> {
          consider(node.offset + last.end);
          consider(node.offset + last.target());
        }
        case CALL -> considerCall(node, node.offset + last.target());
        case INDIRECT_JUMP -> {
          for (long target : node.block.seenTargets()) {
            consider(node.offset + target);
          }
        }
        case INDIRECT_CALL -> {
          for (long target : node.block.seenTargets()) {
            considerCall(node, node.offset + target);
          }
        }
        case RETURN -> {
          // Where a region was left often; the callers within it are added at the end.
          var known = node.block.seenTargets();
          for (long target : known) {
            if (known.length <= MAX_CALLERS || ran(node.offset + target)) {
              consider(node.offset + target);
            }
          }
        }
        case LEAVE -> {}
      }
    }

    private void considerCall(Node call, long target) {
      long behind = call.offset + call.last().end;
      consider(target);
      if (found.containsKey(target)) {
        consider(behind);
      } else {
        behindCalls.computeIfAbsent(target, key -> new ArrayList<>()).add(behind);
      }
    }

    private void consider(long offset) {
      if (seen.add(offset)) {
        var block = at(offset);
        if (block != null) {
          int runs = watch.runs(block);
          if (runs > 0 || block.heat <= SoftwareProcessor.HEAT - SoftwareProcessor.WARM) {
            open.add(new Candidate(offset, runs, seen.size()));
          }
        }
      }
    }

    /// Whether the block at a distance from the entry ran when it was watched.
    private boolean ran(long offset) {
      var block = at(offset);
      return block != null && watch.runs(block) > 0;
    }

    /// The block at a distance from the entry, if it was decoded, is mapped and not too far.
    private @Nullable Block at(long offset) {
      if (offset > REACH || offset < -REACH) {
        return null;
      }
      long page = page(distance(offset));
      return page < 0
          ? null
          : c.owner.partition().code().find(page | (base + offset & 0xFFF), mode);
    }

    private int distance(long offset) {
      return (int) (((base + offset) >> 12) - (base >> 12));
    }

    /// Notes the pages of a block that is to be taken.
    private boolean note(long offset, Block block) {
      int distance = distance(offset);
      if (block.secondPage >= 0
          && (page(distance + 1) != (block.secondPage & ~0xFFFL) || !note(distance + 1))) {
        return false;
      }
      return note(distance);
    }

    /// Whether nothing comes after a node's last instruction.
    private static boolean ends(Node node) {
      var operations = node.block.operations;
      return node.last().follow() == Operation.Follow.NEXT
          && operations.length > 1
          && operations[operations.length - 2].flow() == Operation.Flow.END;
    }

    private void connect(Node node) {
      node.went = watch.went(node.block);
      var last = node.last();
      switch (last.follow()) {
        case NEXT, REPEAT -> node.next = ends(node) ? null : found.get(node.offset + last.end);
        case JUMP, CALL -> node.taken = found.get(node.offset + last.target());
        case CONDITIONAL -> {
          node.next = found.get(node.offset + last.end);
          node.taken = found.get(node.offset + last.target());
        }
        case INDIRECT_JUMP, INDIRECT_CALL, RETURN -> connectTargets(node);
        case LEAVE -> {}
      }
    }

    private void connectTargets(Node node) {
      for (long target : node.block.seenTargets()) {
        var to = found.get(node.offset + target);
        if (to != null && !node.targets.contains(to)) {
          node.targets.add(to);
        }
      }
    }

    private long page(int distance) {
      var known = pages.get(distance);
      return known != null ? known : c.mmu.tryFetch((base & ~0xFFFL) + ((long) distance << 12));
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

package dev.partita.enlightenment;

import dev.partita.hypervisor.GuestMemory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Pages the hypervisor lays over guest RAM (TLFS, "GPA Overlay Pages"). What was below comes back
/// when the last overlay leaves a page. Of several at one page the last to come is seen.
///
/// There is no protection against writes: a guest that writes an overlay changes only what it sees
/// itself.
///
/// Not thread-safe.
final class OverlayPages {
  private final GuestMemory memory;
  private final List<Placed> placed = new ArrayList<>();
  private final List<Below> below = new ArrayList<>();

  OverlayPages(GuestMemory memory) {
    this.memory = memory;
  }

  /// Which overlay.
  enum Kind {
    HYPERCALL,
    REFERENCE_TSC
  }

  /// An overlay in its place.
  ///
  /// @param address guest-physical, of a whole page
  /// @param contents what the page shows at first
  record Placed(Kind kind, long address, byte[] contents) {}

  /// RAM that is covered.
  record Below(long address, byte[] contents) {}

  /// @param placed in the order in which they came
  record State(List<Placed> placed, List<Below> below) {
    State {
      placed = List.copyOf(placed);
      below = List.copyOf(below);
    }
  }

  /// Whether an overlay could lie at an address.
  boolean possible(long address) {
    return address % GuestMemory.PAGE_SIZE == 0 && memory.contains(address, GuestMemory.PAGE_SIZE);
  }

  /// Lays an overlay over a page; if it was elsewhere, it leaves there.
  ///
  /// @param address must be {@link #possible}
  void place(Kind kind, long address, byte[] contents) {
    remove(kind);
    if (below.stream().noneMatch(b -> b.address == address)) {
      below.add(new Below(address, memory.read(address, GuestMemory.PAGE_SIZE)));
    }
    placed.add(new Placed(kind, address, contents));
    memory.write(address, contents);
  }

  /// The address at which an overlay is to be seen, or -1.
  long visible(Kind kind) {
    for (var overlay : placed.reversed()) {
      if (overlay.kind == kind) {
        long address = overlay.address;
        boolean hidden =
            placed.subList(placed.indexOf(overlay) + 1, placed.size()).stream()
                .anyMatch(later -> later.address == address);
        return hidden ? -1 : address;
      }
    }
    return -1;
  }

  /// Takes an overlay away, if it is there.
  void remove(Kind kind) {
    for (var overlay : List.copyOf(placed)) {
      if (overlay.kind == kind) {
        boolean seen = visible(kind) >= 0;
        placed.remove(overlay);
        if (seen) {
          uncover(overlay.address);
        }
      }
    }
  }

  private void uncover(long address) {
    for (var other : placed.reversed()) {
      if (other.address == address) {
        memory.write(address, other.contents);
        return;
      }
    }
    for (var saved : List.copyOf(below)) {
      if (saved.address == address) {
        memory.write(address, saved.contents);
        below.remove(saved);
      }
    }
  }

  State state() {
    return new State(placed, below);
  }

  /// Takes a state over. Guest RAM is restored apart, with the overlays in it.
  void restore(State state) {
    for (var overlay : state.placed) {
      check(overlay.address, overlay.contents);
    }
    for (var saved : state.below) {
      check(saved.address, saved.contents);
    }
    placed.clear();
    placed.addAll(state.placed);
    below.clear();
    below.addAll(state.below);
  }

  private void check(long address, byte[] contents) {
    if (!possible(address) || contents.length != GuestMemory.PAGE_SIZE) {
      throw new IllegalArgumentException(
          "saved overlay of %d bytes at 0x%x is impossible".formatted(contents.length, address));
    }
  }

  /// A page of zeros with some bytes at its start.
  static byte[] page(byte[] start, byte rest) {
    var contents = new byte[GuestMemory.PAGE_SIZE];
    Arrays.fill(contents, rest);
    System.arraycopy(start, 0, contents, 0, start.length);
    return contents;
  }
}

package dev.partita.vmbus;

import dev.partita.hypervisor.GuestMemory;
import java.util.List;

/// Guest memory that a guest shares with a channel (guest physical address descriptor list).
///
/// @param id the guest's handle
/// @param ranges all in RAM
public record Gpadl(int id, List<GpaRange> ranges) {
  public Gpadl {
    ranges = List.copyOf(ranges);
  }

  int pageCount() {
    return ranges.stream().mapToInt(range -> range.pages().length).sum();
  }

  /// Whether it is whole pages in one range.
  boolean isWholePages() {
    return ranges.size() == 1
        && ranges.getFirst().byteOffset() == 0
        && ranges.getFirst().byteCount() % GuestMemory.PAGE_SIZE == 0;
  }
}

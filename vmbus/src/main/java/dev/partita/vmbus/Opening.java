package dev.partita.vmbus;

import java.util.Arrays;

/// How a guest opened a channel.
///
/// @param relid the channel's number on the bus, 1 to 2047: its event flag
/// @param openId the guest's number for the attempt
/// @param ring whole pages: first the ring from guest to host, then the other
/// @param downstreamPage the page at which the ring from host to guest begins
/// @param processor index of the virtual processor that is interrupted, or {@link #NO_PROCESSOR}
/// @param userData 120 bytes from the driver, not changed after the record is made
public record Opening(
    int relid, int openId, Gpadl ring, int downstreamPage, int processor, byte[] userData) {
  /// Interrupts are switched off.
  public static final int NO_PROCESSOR = -1;

  /// A header page and one page of data.
  static final int SMALLEST_RING_PAGES = 2;

  public Opening {
    if (!possible(ring, downstreamPage) || userData.length != Offer.USER_DEFINED_SIZE) {
      throw new IllegalArgumentException(
          "rings of %d pages, the second from %d".formatted(ring.pageCount(), downstreamPage));
    }
  }

  static boolean possible(Gpadl ring, int downstreamPage) {
    return ring.isWholePages()
        && downstreamPage >= SMALLEST_RING_PAGES
        && downstreamPage <= ring.pageCount() - SMALLEST_RING_PAGES;
  }

  Opening withProcessor(int index) {
    return new Opening(relid, openId, ring, downstreamPage, index, userData);
  }

  /// The pages of the ring from guest to host.
  long[] incomingPages() {
    return Arrays.copyOf(ring.ranges().getFirst().pages(), downstreamPage);
  }

  /// The pages of the ring from host to guest.
  long[] outgoingPages() {
    var pages = ring.ranges().getFirst().pages();
    return Arrays.copyOfRange(pages, downstreamPage, pages.length);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Opening o
        && relid == o.relid
        && openId == o.openId
        && ring.equals(o.ring)
        && downstreamPage == o.downstreamPage
        && processor == o.processor
        && Arrays.equals(userData, o.userData);
  }

  @Override
  public int hashCode() {
    return relid * 31 + openId;
  }
}

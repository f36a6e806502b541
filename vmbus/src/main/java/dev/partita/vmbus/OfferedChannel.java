package dev.partita.vmbus;

import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// What {@link VmbusServer} knows of a channel that it offers, or has taken back while the guest
/// has not let go of it.
final class OfferedChannel {
  /// The offer's number, for the host.
  final int number;

  final Offer offer;

  /// The channel's number for the guest, or 0 while it does not know it.
  int relid;

  /// Whether the host has taken the offer back.
  boolean revoked;

  /// Whether the guest has let go of the channel, in this contact.
  boolean released;

  /// Whether the device has not let go of the last opening yet.
  boolean closing;

  @Nullable Opening opening;

  /// To be opened when the device has let go.
  @Nullable Opening nextOpening;

  final Map<Integer, Gpadl> gpadls = new LinkedHashMap<>();
  final Set<Integer> tearingDown = new LinkedHashSet<>();

  OfferedChannel(int number, Offer offer) {
    this.number = number;
    this.offer = offer;
  }

  boolean isClosed() {
    return opening == null && !closing;
  }
}

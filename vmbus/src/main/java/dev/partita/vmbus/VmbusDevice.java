package dev.partita.vmbus;

/// A synthetic device, as the bus sees it.
public interface VmbusDevice {
  /// What the guest is told of the device's first channel; always the same.
  Offer offer();

  /// The guest has opened a channel: the first, or one of those of {@link
  /// Channel#offerSubChannels}. Called on the channel's own thread. A device that closes and opens
  /// again gets a new handler each time.
  ChannelHandler open(Channel channel);
}

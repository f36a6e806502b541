package dev.partita.vmbus;

import java.util.Arrays;

/// What the state machine asks of its surroundings, to be done in order.
sealed interface VmbusAction {
  /// Sends a message to the guest.
  ///
  /// @param processor index of the virtual processor
  /// @param source the synthetic interrupt source
  record Send(int processor, int source, byte[] message) implements VmbusAction {
    @Override
    public boolean equals(Object other) {
      return other instanceof Send o
          && processor == o.processor
          && source == o.source
          && Arrays.equals(message, o.message);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(message);
    }
  }

  /// Forgets messages that the guest has not fetched.
  record Discard(int processor, int source) implements VmbusAction {}

  /// A channel is open: its device may begin.
  ///
  /// @param channel the offer's number
  record Open(int channel, Opening opening) implements VmbusAction {}

  /// A channel is to be closed: its device must let go of all guest memory, and then {@link
  /// VmbusServer#closed} is due.
  record Close(int channel) implements VmbusAction {}

  /// An open channel's interrupts go elsewhere.
  ///
  /// @param processor index of the virtual processor, or {@link Opening#NO_PROCESSOR}
  record Retarget(int channel, int processor) implements VmbusAction {}

  /// The guest takes a GPADL from an open channel: its device must let go of that memory, and then
  /// {@link VmbusServer#tornDown} is due.
  record TearDown(int channel, int gpadl) implements VmbusAction {}
}

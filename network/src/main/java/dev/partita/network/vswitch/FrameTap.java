package dev.partita.network.vswitch;

import dev.partita.network.Frame;

/// Sees the frames of a port. Called on the threads that carry them: it must be quick, and must not
/// change the frame.
@FunctionalInterface
public interface FrameTap {
  /// A frame passed.
  ///
  /// @param frame lent until the call returns
  /// @param outbound from the endpoint into the switch
  void frame(SwitchPort port, Frame frame, boolean outbound);
}

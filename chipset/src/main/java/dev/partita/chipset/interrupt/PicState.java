package dev.partita.chipset.interrupt;

/// The saveable state of the pair of 8259A interrupt controllers.
///
/// @param master the one that interrupts the processor
/// @param slave the one at the master's input 2
public record PicState(Chip master, Chip slave) {
  /// One 8259A.
  ///
  /// @param lines levels of its inputs
  /// @param requests interrupt request register
  /// @param inService in-service register
  /// @param mask interrupt mask register
  /// @param level edge/level control register
  /// @param vectorBase first vector (ICW2)
  /// @param nextIcw initialization command word expected next, 2 to 4, or 0
  /// @param icw1 first initialization command word
  /// @param icw4 fourth initialization command word
  /// @param lowestPriority input with the lowest priority, 7 unless rotated
  /// @param rotateOnAutoEoi rotates at automatic end of interrupt
  /// @param specialMask special mask mode
  /// @param readInService which register a read of the even port gives
  /// @param poll the next read of the even port is a poll
  public record Chip(
      int lines,
      int requests,
      int inService,
      int mask,
      int level,
      int vectorBase,
      int nextIcw,
      int icw1,
      int icw4,
      int lowestPriority,
      boolean rotateOnAutoEoi,
      boolean specialMask,
      boolean readInService,
      boolean poll) {}
}

package dev.partita.engine.software;

/// One decoded guest instruction, ready to execute: immutable, shared by all processors.
///
/// An operation that can fault does so before it changes any state, so that {@link Cpu} can deliver
/// the
/// fault with the state before the instruction. String operations commit register state after each
/// element instead, as the architecture says.
///
/// RIP: while a block runs, `cpu.r[Cpu.RIP_BASE]` holds the RIP of the block's first instruction;
/// an operation finds its own as that plus {@link #start}, and the next instruction's as that plus
/// {@link
/// #end}. Only operations with {@link Flow#BRANCH} write {@link Cpu#rip}.
abstract class Operation {
  /// What comes after an operation.
  enum Flow {
    /// The next instruction in the block.
    NEXT,
    /// The next instruction, but in a new block: the operation may have changed the mode, the page
    /// tables, the interrupt flag, or code.
    END,
    /// Where the operation set {@link Cpu#rip}: it ends the block.
    BRANCH
  }

  /// Where control goes after a block's last operation, for the translator.
  enum Follow {
    /// What comes next in memory.
    NEXT,
    /// {@link #target}.
    JUMP,
    /// {@link #target}, or what comes next.
    CONDITIONAL,
    /// {@link #target}, and later, it is to be hoped, what comes next.
    CALL,
    RETURN,
    INDIRECT_JUMP,
    INDIRECT_CALL,
    /// Itself again, or what comes next: the operation sets {@link Cpu#rip}.
    REPEAT,
    /// Anywhere: the operation sets {@link Cpu#rip}.
    LEAVE
  }

  /// What an operation does to the arithmetic flags, for the translator.
  enum FlagUse {
    /// It may read them, change some, or leave the region before it sets them.
    ANY,
    /// Neither reads nor changes them, and cannot fault.
    NONE,
    /// Sets all six without reading one, and cannot fault.
    SETS
  }

  /// Offset of the first byte (prefixes included) from the first byte of the block. Set by the
  /// decoder.
  int start;

  /// Offset of the byte after the instruction. Set by the decoder.
  int end;

  /// Executes on a processor's own thread.
  ///
  /// @throws GuestFault an exception of the guest, to be delivered with RIP at this instruction
  abstract void execute(Cpu c);

  Flow flow() {
    return Flow.NEXT;
  }

  /// Where control goes when this is a block's last operation.
  Follow follow() {
    return Follow.LEAVE;
  }

  /// The target of a direct jump or call, from the block's first byte.
  long target() {
    throw new IllegalStateException("not a direct jump");
  }

  /// What it does to the flags, if {@link #emit} emits it.
  FlagUse flagUse() {
    return FlagUse.ANY;
  }

  /// The general registers it reads, as bits by their number in {@link Cpu#r}, if it changes none
  /// of them, leaves the flags alone, and faults before it changes anything: then it can be
  /// called with all else in locals. -1 if that is not so.
  int readsOnly() {
    return -1;
  }

  /// Emits bytecode that does what {@link #execute} does. Operations that have no code of their own
  /// are called.
  ///
  /// @return false if it emitted nothing
  boolean emit(RegionEmitter e) {
    return false;
  }

  /// The RIP of this instruction.
  final long ownRip(Cpu c) {
    return c.r[Cpu.RIP_BASE] + start;
  }

  /// The RIP of the instruction after this one; wrap to the code size is the caller's.
  final long nextRip(Cpu c) {
    return c.r[Cpu.RIP_BASE] + end;
  }
}

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

  /// The RIP of this instruction.
  final long ownRip(Cpu c) {
    return c.r[Cpu.RIP_BASE] + start;
  }

  /// The RIP of the instruction after this one; wrap to the code size is the caller's.
  final long nextRip(Cpu c) {
    return c.r[Cpu.RIP_BASE] + end;
  }
}

package dev.partita.engine.software;

/// Leaves an operation without an exception of the guest: the operation has had no effect yet and
/// is
/// to be executed again (see {@link Reason}). Preallocated, without a stack trace.
final class ExecutionStop extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /// Why.
  enum Reason {
    /// The operation is about to write over the code of its own block: the block is gone, and the
    /// instruction must run in a block of its own, so that what follows is decoded afresh.
    OWN_CODE_WRITTEN
  }

  static final ExecutionStop OWN_CODE_WRITTEN = new ExecutionStop(Reason.OWN_CODE_WRITTEN);

  final transient Reason reason;

  private ExecutionStop(Reason reason) {
    super(null, null, false, false);
    this.reason = reason;
  }
}

package dev.partita.engine.software;

/// An exception of the guest's processor, thrown out of an operation to the execution loop, which
/// delivers it. Each {@link Cpu} has one instance that it fills and throws again and again: no
/// allocation, no stack trace.
final class GuestFault extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /// {@link #errorCode} of a fault that pushes none.
  static final int NO_ERROR_CODE = -1;

  // Vectors: Intel SDM volume 3, table "Protected-Mode Exceptions and Interrupts".
  static final int DIVIDE_ERROR = 0;
  static final int DEBUG = 1;
  static final int NMI = 2;
  static final int BREAKPOINT = 3;
  static final int OVERFLOW = 4;
  static final int BOUND_RANGE = 5;
  static final int INVALID_OPCODE = 6;
  static final int DEVICE_NOT_AVAILABLE = 7;
  static final int DOUBLE_FAULT = 8;
  static final int INVALID_TSS = 10;
  static final int SEGMENT_NOT_PRESENT = 11;
  static final int STACK_FAULT = 12;
  static final int GENERAL_PROTECTION = 13;
  static final int PAGE_FAULT = 14;
  static final int FLOATING_POINT = 16;
  static final int ALIGNMENT_CHECK = 17;
  static final int MACHINE_CHECK = 18;
  static final int SIMD_FLOATING_POINT = 19;

  int vector;
  int errorCode;

  /// For a page fault: the linear address, for CR2.
  long address;

  GuestFault() {
    super(null, null, false, false);
  }
}

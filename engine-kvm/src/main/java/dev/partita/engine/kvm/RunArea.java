package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.partita.engine.kvm.Structures.Registers;
import dev.partita.engine.kvm.Structures.Run;
import java.lang.foreign.MemorySegment;

/// The memory that a virtual processor shares with KVM (`struct kvm_run`): why it stopped, and what
/// user space answers. Only for the thread that runs the processor, or while it does not run.
final class RunArea {
  // KVM_EXIT_*.
  static final int EXIT_UNKNOWN = 0;
  static final int EXIT_IO = 2;
  static final int EXIT_MMIO = 6;
  static final int EXIT_IRQ_WINDOW_OPEN = 7;
  static final int EXIT_SHUTDOWN = 8;
  static final int EXIT_FAIL_ENTRY = 9;
  static final int EXIT_INTR = 10;
  static final int EXIT_INTERNAL_ERROR = 17;
  static final int EXIT_IOAPIC_EOI = 26;
  static final int EXIT_X86_RDMSR = 29;
  static final int EXIT_X86_WRMSR = 30;
  static final int EXIT_DIRTY_RING_FULL = 31;

  /// KVM_INTERNAL_ERROR_EMULATION: KVM had to emulate an instruction and cannot.
  static final int INTERNAL_ERROR_EMULATION = 1;

  /// KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES.
  private static final long INSTRUCTION_BYTES = 1;

  /// KVM_EXIT_IO_OUT.
  private static final int OUT = 1;

  /// KVM_SYNC_X86_REGS.
  private static final long SYNC_REGISTERS = 1;

  private final long address;
  private final MemorySegment segment;

  /// Maps the area of a processor.
  RunArea(KvmDescriptor processor, int size) {
    address = Posix.map(processor.number(), size, 0);
    if (address < 0 && address > -4096) {
      throw KvmException.of("mmap of a virtual processor", (int) -address);
    }
    segment = MemorySegment.ofAddress(address).reinterpret(size);
    segment.set(JAVA_LONG, Run.VALID_REGISTERS, SYNC_REGISTERS);
  }

  /// Unmaps; nobody may use it any more.
  void free() {
    Posix.unmap(address, segment.byteSize());
  }

  int exitReason() {
    return segment.get(JAVA_INT, Run.EXIT_REASON);
  }

  /// Whether KVM_RUN only completes the instruction of the last exit, and then returns.
  void setImmediateExit(boolean on) {
    segment.set(JAVA_BYTE, Run.IMMEDIATE_EXIT, (byte) (on ? 1 : 0));
  }

  /// Whether KVM stops when the guest can take an external interrupt.
  void setInterruptWindowRequest(boolean on) {
    segment.set(JAVA_BYTE, Run.REQUEST_INTERRUPT_WINDOW, (byte) (on ? 1 : 0));
  }

  boolean readyForInterrupt() {
    return segment.get(JAVA_BYTE, Run.READY_FOR_INTERRUPT_INJECTION) != 0;
  }

  /// An interrupt was injected: until the next exit there is no room for another.
  void clearReadyForInterrupt() {
    segment.set(JAVA_BYTE, Run.READY_FOR_INTERRUPT_INJECTION, (byte) 0);
  }

  // ---- EXIT_IO

  boolean ioIsWrite() {
    return segment.get(JAVA_BYTE, Run.IO_DIRECTION) == OUT;
  }

  int ioSize() {
    return segment.get(JAVA_BYTE, Run.IO_SIZE);
  }

  int ioPort() {
    return segment.get(JAVA_SHORT, Run.IO_PORT) & 0xFFFF;
  }

  /// How many accesses: more than one for a string instruction.
  int ioCount() {
    return segment.get(JAVA_INT, Run.IO_COUNT);
  }

  private long ioData(int number, int size) {
    return segment.get(JAVA_LONG, Run.IO_DATA_OFFSET) + (long) number * size;
  }

  int ioValue(int number, int size) {
    long at = ioData(number, size);
    return switch (size) {
      case 1 -> segment.get(JAVA_BYTE, at) & 0xFF;
      case 2 -> segment.get(java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED, at) & 0xFFFF;
      default -> segment.get(java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED, at);
    };
  }

  void setIoValue(int number, int size, int value) {
    long at = ioData(number, size);
    switch (size) {
      case 1 -> segment.set(JAVA_BYTE, at, (byte) value);
      case 2 -> segment.set(java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) value);
      default -> segment.set(java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED, at, value);
    }
  }

  // ---- EXIT_MMIO

  boolean mmioIsWrite() {
    return segment.get(JAVA_BYTE, Run.MMIO_IS_WRITE) != 0;
  }

  long mmioAddress() {
    return segment.get(JAVA_LONG, Run.MMIO_ADDRESS);
  }

  /// Bytes, 1 to 8.
  int mmioLength() {
    return segment.get(JAVA_INT, Run.MMIO_LENGTH);
  }

  /// All eight bytes; those over the length mean nothing.
  long mmioData() {
    return segment.get(JAVA_LONG, Run.MMIO_DATA);
  }

  void setMmioData(long value) {
    segment.set(JAVA_LONG, Run.MMIO_DATA, value);
  }

  // ---- EXIT_X86_RDMSR, EXIT_X86_WRMSR

  int msrIndex() {
    return segment.get(JAVA_INT, Run.MSR_INDEX);
  }

  long msrData() {
    return segment.get(JAVA_LONG, Run.MSR_DATA);
  }

  void setMsrData(long value) {
    segment.set(JAVA_LONG, Run.MSR_DATA, value);
  }

  /// Whether the guest gets a general-protection fault.
  void setMsrError(boolean error) {
    segment.set(JAVA_BYTE, Run.MSR_ERROR, (byte) (error ? 1 : 0));
  }

  // ---- Others

  /// EXIT_IOAPIC_EOI.
  int eoiVector() {
    return segment.get(JAVA_BYTE, Run.EOI_VECTOR) & 0xFF;
  }

  /// EXIT_UNKNOWN, EXIT_FAIL_ENTRY.
  long hardwareReason() {
    return segment.get(JAVA_LONG, Run.HARDWARE_EXIT_REASON);
  }

  /// EXIT_INTERNAL_ERROR.
  int internalError() {
    return segment.get(JAVA_INT, Run.INTERNAL_SUBERROR);
  }

  /// What KVM tells of an internal error, by kind.
  long[] internalData() {
    // There are 16 places.
    var data = new long[Math.clamp(segment.get(JAVA_INT, Run.INTERNAL_DATA_COUNT), 0, 16)];
    for (int i = 0; i < data.length; i++) {
      data[i] = segment.get(JAVA_LONG, Run.INTERNAL_DATA + 8L * i);
    }
    return data;
  }

  /// The instruction that KVM could not emulate, as far as it tells.
  byte[] emulatedInstruction() {
    if (segment.get(JAVA_INT, Run.INTERNAL_DATA_COUNT) < 3
        || (segment.get(JAVA_LONG, Run.EMULATION_FLAGS) & INSTRUCTION_BYTES) == 0) {
      return new byte[0];
    }
    int size = Math.clamp(segment.get(JAVA_BYTE, Run.EMULATION_INSTRUCTION_SIZE), 0, 15);
    return segment.asSlice(Run.EMULATION_INSTRUCTION, size).toArray(JAVA_BYTE);
  }

  // ---- Registers at the exit

  long general(int register) {
    return segment.get(JAVA_LONG, Run.SYNC_REGISTERS + Registers.general(register));
  }

  void setGeneral(int register, long value) {
    segment.set(JAVA_LONG, Run.SYNC_REGISTERS + Registers.general(register), value);
    segment.set(JAVA_LONG, Run.DIRTY_REGISTERS, SYNC_REGISTERS);
  }

  long rflags() {
    return segment.get(JAVA_LONG, Run.SYNC_REGISTERS + Registers.RFLAGS);
  }
}

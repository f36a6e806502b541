package dev.partita.hypervisor;

/// Something a virtual processor hands to its owner. Sealed, so that a handler's switch is checked
/// to
/// be complete.
///
/// The engines answer CPUID from {@link PartitionConfiguration#cpuid()} and never intercept it: KVM
/// offers no other way.
public sealed interface Intercept {
  /// `IN` from an I/O port: the handler sets {@link #value}. Unanswered, all bits read as one.
  final class PortRead implements Intercept {
    /// Port number, 0 to 0xFFFF.
    public int port;

    /// Bytes: 1, 2 or 4.
    public int size;

    /// The answer; bits over the size are ignored.
    public int value;

    public PortRead prepare(int port, int size) {
      this.port = port;
      this.size = size;
      this.value = -1;
      return this;
    }
  }

  /// `OUT` to an I/O port.
  final class PortWrite implements Intercept {
    /// Port number, 0 to 0xFFFF.
    public int port;

    /// Bytes: 1, 2 or 4.
    public int size;

    /// What is written, zero-extended.
    public int value;

    public PortWrite prepare(int port, int size, int value) {
      this.port = port;
      this.size = size;
      this.value = value;
      return this;
    }
  }

  /// A read of guest-physical memory that is not RAM. Unanswered, all bits read as one.
  final class MmioRead implements Intercept {
    /// Guest-physical address.
    public long address;

    /// Bytes: 1, 2, 4 or 8.
    public int size;

    /// The answer; bits over the size are ignored.
    public long value;

    public MmioRead prepare(long address, int size) {
      this.address = address;
      this.size = size;
      this.value = -1;
      return this;
    }
  }

  /// A write of guest-physical memory that is not RAM.
  final class MmioWrite implements Intercept {
    /// Guest-physical address.
    public long address;

    /// Bytes: 1, 2, 4 or 8.
    public int size;

    /// What is written, zero-extended.
    public long value;

    public MmioWrite prepare(long address, int size, long value) {
      this.address = address;
      this.size = size;
      this.value = value;
      return this;
    }
  }

  /// `RDMSR` of a register the engine does not implement. Unless the handler calls {@link #answer},
  /// the
  /// guest gets a general-protection fault.
  final class MsrRead implements Intercept {
    /// The register's number.
    public int index;

    public boolean handled;
    public long value;

    public MsrRead prepare(int index) {
      this.index = index;
      this.handled = false;
      this.value = 0;
      return this;
    }

    public void answer(long value) {
      this.value = value;
      this.handled = true;
    }
  }

  /// `WRMSR` of a register the engine does not implement. Unless the handler calls {@link #accept},
  /// the
  /// guest gets a general-protection fault.
  final class MsrWrite implements Intercept {
    /// The register's number.
    public int index;

    public long value;
    public boolean handled;

    public MsrWrite prepare(int index, long value) {
      this.index = index;
      this.value = value;
      this.handled = false;
      return this;
    }

    public void accept() {
      this.handled = true;
    }
  }

  /// The guest acknowledges the legacy interrupt line: the handler asks the 8259 and sets the
  /// vector.
  final class ExternalInterrupt implements Intercept {
    /// The vector, 0 to 255, or -1 when the line fell meanwhile.
    public int vector;

    public ExternalInterrupt prepare() {
      this.vector = -1;
      return this;
    }
  }

  /// The guest ended a level-triggered interrupt: the I/O APIC may raise it again.
  final class EndOfInterrupt implements Intercept {
    /// The vector, 16 to 255.
    public int vector;

    public EndOfInterrupt prepare(int vector) {
      this.vector = vector;
      return this;
    }
  }

  /// The processor is about to wait in `HLT`; for information. An engine whose halts stay in the
  /// host's
  /// kernel does not report them.
  final class Halt implements Intercept {
    /// True when no interrupt can ever wake it: halted with interrupts masked.
    public boolean interruptsMasked;

    public Halt prepare(boolean interruptsMasked) {
      this.interruptsMasked = interruptsMasked;
      return this;
    }
  }

  /// The processor cannot go on. {@link VirtualProcessor#run} returns {@link RunExit#SHUTDOWN}
  /// after the
  /// handler.
  ///
  /// @param detail one line for the operator
  /// @param state registers at the fault
  /// @param code the bytes at RIP, as many as could be read (0 to 15)
  record Shutdown(Reason reason, String detail, ProcessorState state, byte[] code)
      implements Intercept {
    public enum Reason {
      /// A fault while delivering a double fault: a PC would reset.
      TRIPLE_FAULT,
      /// The guest used an instruction or mode the engine does not have and cannot fault.
      UNSUPPORTED,
      /// A defect of the engine or of a handler.
      INTERNAL_ERROR
    }
  }
}

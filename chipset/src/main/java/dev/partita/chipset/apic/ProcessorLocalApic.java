package dev.partita.chipset.apic;

import static dev.partita.chipset.apic.LocalApicLayout.*;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.LocalApicState;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.VirtualProcessor;

/// One processor's local APIC (Intel SDM, volume 3, "Advanced Programmable Interrupt Controller"):
/// modes and access rules, messages in and out, and the lock around the registers.
///
/// All state is guarded by this object's monitor; nothing that can call back (the processor, the
/// bus, the end-of-interrupt listener) is called with it held.
final class ProcessorLocalApic implements LocalApic {
  private final LocalApics bus;
  private final VirtualProcessor processor;
  private final int id;
  private final boolean x2apicSupported;
  private final long baseReserved;
  private final ApicTimer timer;
  private final LocalApicRegisters registers;

  ProcessorLocalApic(
      LocalApics bus, VirtualProcessor processor, PartitionConfiguration configuration) {
    this.bus = bus;
    this.processor = processor;
    this.id = processor.index();
    var features = configuration.cpuid().find(1, 0);
    this.x2apicSupported = features != null && (features.ecx() & 1 << 21) != 0;
    this.baseReserved = baseReserved(configuration.cpuid());
    this.timer =
        new ApicTimer(
            processor, configuration.time(), configuration.tscFrequency(), this::timerFired);
    this.registers = new LocalApicRegisters(id, withBootFlag(BASE_RESET), timer);
  }

  /// The bits of IA32_APIC_BASE that must be zero: 7:0, 9, and those over the physical address.
  private static long baseReserved(CpuidTable cpuid) {
    var sizes = cpuid.find(0x8000_0008, 0);
    int width = sizes == null ? 36 : Math.clamp(sizes.eax() & 0xFF, 32, 52);
    return 0x2FFL & ~BASE_BOOT_PROCESSOR | -1L << width;
  }

  /// The boot processor's flag is the board's, not the guest's.
  private long withBootFlag(long base) {
    return base & ~BASE_BOOT_PROCESSOR | (id == 0 ? BASE_BOOT_PROCESSOR : 0);
  }

  int id() {
    return id;
  }

  private void wake(boolean needed) {
    if (needed) {
      processor.interruptRequested();
    }
  }

  // --- what the processor asks ---

  @Override
  public boolean interruptPending() {
    return registers.pending();
  }

  @Override
  public synchronized int acknowledge() {
    int vector = registers.acknowledge();
    registers.update();
    return vector;
  }

  @Override
  public synchronized long apicBase() {
    return registers.apicBase();
  }

  @Override
  public boolean setApicBase(long value) {
    boolean wake;
    synchronized (this) {
      long mode = value & (BASE_ENABLE | BASE_X2APIC);
      long old = registers.apicBase() & (BASE_ENABLE | BASE_X2APIC);
      if ((value & baseReserved) != 0 || mode == BASE_X2APIC) {
        return false;
      }
      if (mode == (BASE_ENABLE | BASE_X2APIC) && (!x2apicSupported || old == 0)) {
        return false;
      }
      if (mode == BASE_ENABLE && (old & BASE_X2APIC) != 0) {
        return false;
      }
      registers.setApicBase(withBootFlag(value));
      wake = registers.update();
    }
    wake(wake);
    return true;
  }

  @Override
  public synchronized long tscDeadline() {
    return timer.tscDeadline();
  }

  @Override
  public synchronized void setTscDeadline(long deadline) {
    timer.setTscDeadline(deadline);
  }

  @Override
  public synchronized int taskPriority() {
    return registers.read(TASK_PRIORITY) >> 4;
  }

  @Override
  public void setTaskPriority(int priority) {
    write(TASK_PRIORITY, (priority & 0xF) << 4);
  }

  /// INIT: all but the mode and the APIC id. The mode after power-up comes with {@link
  /// LocalApics#powerUpState}.
  @Override
  public synchronized void reset() {
    registers.clear();
  }

  /// Writes a register that has no effect outside this APIC.
  private void write(int register, int value) {
    boolean wake;
    synchronized (this) {
      boolean before = registers.pending();
      registers.write(register, value);
      wake = registers.update() && !before;
    }
    wake(wake);
  }

  private void endOfInterrupt() {
    boolean wake;
    int ended;
    synchronized (this) {
      boolean before = registers.pending();
      ended = registers.endOfInterrupt();
      wake = registers.update() && !before;
    }
    if (ended >= 0) {
      bus.endOfInterrupt(id, ended);
    }
    wake(wake);
  }

  // --- memory-mapped registers ---

  @Override
  public int readMmio(int offset) {
    int register = offset & 0xFF0;
    int value;
    synchronized (this) {
      if (registers.x2apic() || (offset & 0xC) != 0) {
        return 0;
      }
      value =
          switch (register) {
            case ID, DESTINATION_FORMAT, COMMAND_HIGH -> registers.read(register);
            // Not in this family of processors, or write-only: zero, and no error (the address
            // map's footnote).
            case ARBITRATION_PRIORITY, REMOTE_READ, END_OF_INTERRUPT -> 0;
            default -> {
              if (LocalApicRegisters.readable(register)) {
                yield registers.read(register);
              }
              registers.error(ESR_ILLEGAL_REGISTER);
              registers.update();
              yield 0;
            }
          };
    }
    return value >>> 8 * (offset & 3);
  }

  @Override
  public void writeMmio(int offset, int value) {
    synchronized (this) {
      if ((offset & 0xF) != 0 || registers.x2apic()) {
        return;
      }
    }
    switch (offset) {
      case END_OF_INTERRUPT -> endOfInterrupt();
      case COMMAND_LOW -> {
        int low = value & ICR_LOW_WRITABLE;
        int high;
        synchronized (this) {
          high = registers.read(COMMAND_HIGH);
          registers.setCommand(low, high);
        }
        bus.command(this, low, high >>> 24, false);
      }
      case LOGICAL_DESTINATION, DESTINATION_FORMAT, COMMAND_HIGH -> write(offset, value);
      case ID, ARBITRATION_PRIORITY, REMOTE_READ -> {}
      default -> {
        if (LocalApicRegisters.writable(offset)) {
          write(offset, value);
        } else if (!LocalApicRegisters.readable(offset)) {
          error(ESR_ILLEGAL_REGISTER);
        }
      }
    }
  }

  private void error(int bit) {
    boolean wake;
    synchronized (this) {
      registers.error(bit);
      wake = registers.update();
    }
    wake(wake);
  }

  // --- x2APIC registers ---

  @Override
  public synchronized boolean readMsr(int index, Intercept.MsrRead into) {
    int register = (index - X2APIC_MSR) << 4;
    if (!registers.x2apic() || register < 0 || register > 0xFF0) {
      return false;
    }
    switch (register) {
      case ID -> into.answer(id);
      case COMMAND_LOW ->
          into.answer(
              (long) registers.read(COMMAND_HIGH) << 32
                  | registers.read(COMMAND_LOW) & 0xFFFF_FFFFL);
      default -> {
        if (!LocalApicRegisters.readable(register)) {
          return false;
        }
        into.answer(registers.read(register) & 0xFFFF_FFFFL);
      }
    }
    return true;
  }

  @Override
  public boolean writeMsr(int index, long value) {
    int register = (index - X2APIC_MSR) << 4;
    if (register < 0 || register > 0xFF0) {
      return false;
    }
    synchronized (this) {
      if (!registers.x2apic()) {
        return false;
      }
    }
    if (register != COMMAND_LOW && value >>> 32 != 0) {
      return false;
    }
    int low = (int) value;
    switch (register) {
      case END_OF_INTERRUPT -> {
        if (low != 0) {
          return false;
        }
        endOfInterrupt();
      }
      case COMMAND_LOW -> {
        if ((low & ~ICR_LOW_WRITABLE) != 0) {
          return false;
        }
        int destination = (int) (value >>> 32);
        synchronized (this) {
          registers.setCommand(low, destination);
        }
        bus.command(this, low, destination, true);
      }
      case SELF_IPI -> {
        if ((low & ~0xFF) != 0) {
          return false;
        }
        bus.command(this, LocalApics.SHORTHAND_SELF | low, 0, true);
      }
      default -> {
        if (!LocalApicRegisters.writable(register)
            || (low & LocalApicRegisters.x2apicReserved(register)) != 0) {
          return false;
        }
        write(register, low);
      }
    }
    return true;
  }

  // --- messages in ---

  int processorPriority() {
    return registers.processorPriority();
  }

  /// Whether fixed interrupts reach this APIC at all.
  synchronized boolean acceptsFixed() {
    return registers.enabled() && registers.softwareEnabled();
  }

  /// As {@link LocalApicRegisters#matches}.
  synchronized boolean matches(int destination, boolean wide, boolean logical) {
    return registers.matches(destination, wide, logical);
  }

  /// A message for this APIC. Any thread.
  ///
  /// @param mode delivery mode, as in the interrupt command register
  void deliver(int mode, int vector, boolean level) {
    boolean wake = false;
    synchronized (this) {
      boolean fixed = mode == DELIVERY_FIXED || mode == DELIVERY_LOWEST_PRIORITY;
      if (!registers.enabled()
          || (fixed || mode == DELIVERY_EXTINT) && !registers.softwareEnabled()) {
        return;
      }
      if (fixed) {
        registers.request(vector, level);
        wake = registers.update();
      } else if (mode == DELIVERY_EXTINT) {
        registers.requestExternal();
        wake = registers.update();
      }
    }
    wake(wake);
    signal(mode, vector);
  }

  /// What goes past the interrupt registers. SMI does nothing: there is no system management mode.
  private void signal(int mode, int vector) {
    switch (mode) {
      case DELIVERY_NMI -> processor.requestNmi();
      case DELIVERY_INIT -> processor.requestInit();
      case DELIVERY_STARTUP -> processor.requestStartup(vector);
      default -> {}
    }
  }

  /// The level of the line into LINT0 (SDM "Local Vector Table").
  void setLint0(boolean asserted) {
    boolean wake;
    int mode;
    synchronized (this) {
      mode = registers.setLine(asserted);
      wake = registers.update();
    }
    signalLocal(mode);
    wake(wake);
  }

  /// A pulse on LINT1, where boards connect the NMI button.
  void pulseLint1() {
    boolean wake = false;
    int mode;
    synchronized (this) {
      int entry = registers.activeLvt(LINT1);
      if (entry < 0) {
        return;
      }
      mode = entry >> 8 & 7;
      if (mode == DELIVERY_FIXED) {
        registers.request(entry & 0xFF, false);
        wake = registers.update();
      }
    }
    signalLocal(mode);
    wake(wake);
  }

  /// The local vector table has no start-up mode.
  private void signalLocal(int mode) {
    if (mode == DELIVERY_NMI || mode == DELIVERY_INIT) {
      signal(mode, 0);
    }
  }

  /// Notes that this APIC sent a message with a vector under 16.
  void sentIllegalVector() {
    error(ESR_SEND_ILLEGAL_VECTOR);
  }

  private void timerFired() {
    boolean wake = false;
    synchronized (this) {
      int entry = registers.activeLvt(TIMER);
      if (timer.expire() && entry >= 0) {
        registers.request(entry & 0xFF, false);
        wake = registers.update();
      }
    }
    wake(wake);
  }

  // --- saved state ---

  /// What the page cannot hold is lost: errors the guest has not latched yet, and an ExtINT message
  /// that was not yet acknowledged. The level of LINT0's line is its driver's.
  @Override
  public synchronized LocalApicState state() {
    return new LocalApicState(
        registers.apicBase(),
        registers.page(LocalApicState.REGISTERS_SIZE),
        timer.tscDeadline(),
        timer.remaining());
  }

  @Override
  public void setState(LocalApicState state) {
    long base = state.apicBase();
    if ((base & baseReserved) != 0 || (base & (BASE_ENABLE | BASE_X2APIC)) == BASE_X2APIC) {
      throw new IllegalArgumentException("IA32_APIC_BASE of 0x%x is impossible".formatted(base));
    }
    boolean wake;
    synchronized (this) {
      registers.restore(
          withBootFlag(base), state.registers(), state.timerRemaining(), state.tscDeadline());
      wake = registers.update();
    }
    wake(wake);
  }
}

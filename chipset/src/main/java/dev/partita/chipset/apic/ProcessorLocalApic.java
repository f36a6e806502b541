package dev.partita.chipset.apic;

import static dev.partita.chipset.apic.LocalApicLayout.*;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.LocalApicState;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.VirtualProcessor;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// One processor's local APIC (Intel SDM, volume 3, "Advanced Programmable Interrupt Controller").
///
/// All state is guarded by this object's monitor; nothing that can call back (the processor, the
/// bus, the end-of-interrupt listener) is called with it held. Two fields are also read without it:
/// whether an interrupt can be taken, and the processor priority.
final class ProcessorLocalApic implements LocalApic {
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private final LocalApics bus;
  private final VirtualProcessor processor;
  private final int id;
  private final boolean boot;
  private final boolean x2apicSupported;
  private final long baseReserved;
  private final ApicTimer timer;

  private volatile boolean pending;
  private volatile int processorPriority;

  private long apicBase;
  private int taskPriority;
  private int logicalDestination;
  private int destinationFormat;
  private int spuriousVector;
  private final VectorSet inService = new VectorSet();
  private final VectorSet triggerMode = new VectorSet();
  private final VectorSet requests = new VectorSet();
  private int errorStatus;

  /// Errors since the guest last wrote the error status register.
  private int newErrors;

  private int commandLow;
  private int commandHigh;
  private final int[] lvt = new int[LVT_COUNT];

  /// The level of the line into LINT0.
  private boolean line;

  /// An ExtINT message came and was not yet acknowledged.
  private boolean externalMessage;

  ProcessorLocalApic(
      LocalApics bus, VirtualProcessor processor, PartitionConfiguration configuration) {
    this.bus = bus;
    this.processor = processor;
    this.id = processor.index();
    this.boot = id == 0;
    var features = configuration.cpuid().find(1, 0);
    this.x2apicSupported = features != null && (features.ecx() & 1 << 21) != 0;
    this.baseReserved = baseReserved(configuration.cpuid());
    this.timer =
        new ApicTimer(
            processor, configuration.time(), configuration.tscFrequency(), this::timerFired);
    this.apicBase = BASE_RESET | (boot ? BASE_BOOT_PROCESSOR : 0);
    synchronized (this) {
      clear();
    }
  }

  /// The bits of IA32_APIC_BASE that must be zero: 7:0, 9, and those over the physical address.
  private static long baseReserved(CpuidTable cpuid) {
    var sizes = cpuid.find(0x8000_0008, 0);
    int width = sizes == null ? 36 : Math.clamp(sizes.eax() & 0xFF, 32, 52);
    return 0x2FFL & ~BASE_BOOT_PROCESSOR | -1L << width;
  }

  // --- what the processor asks ---

  @Override
  public boolean interruptPending() {
    return pending;
  }

  @Override
  public synchronized int acknowledge() {
    if (externalDeliverable()) {
      externalMessage = false;
      update();
      return EXTERNAL;
    }
    if (!enabled()) {
      return -1;
    }
    int vector = requests.highest();
    if (vector < 0 || vector >> 4 <= processorPriority >> 4) {
      return -1;
    }
    requests.remove(vector);
    inService.add(vector);
    update();
    return vector;
  }

  @Override
  public synchronized long apicBase() {
    return apicBase;
  }

  @Override
  public boolean setApicBase(long value) {
    boolean wake;
    synchronized (this) {
      long mode = value & (BASE_ENABLE | BASE_X2APIC);
      long old = apicBase & (BASE_ENABLE | BASE_X2APIC);
      if ((value & baseReserved) != 0 || mode == BASE_X2APIC) {
        return false;
      }
      boolean toX2apic = mode == (BASE_ENABLE | BASE_X2APIC);
      if (toX2apic && (!x2apicSupported || old == 0)) {
        return false;
      }
      if (mode == BASE_ENABLE && (old & BASE_X2APIC) != 0) {
        return false;
      }
      apicBase = value & ~BASE_BOOT_PROCESSOR | (boot ? BASE_BOOT_PROCESSOR : 0);
      if (mode == 0 && old != 0) {
        clear();
      } else if (toX2apic && mode != old) {
        // SDM "State Changes From xAPIC Mode to x2APIC Mode".
        logicalDestination = x2apicLogicalId(id);
        commandHigh = 0;
      }
      wake = update();
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
    return taskPriority >> 4;
  }

  @Override
  public void setTaskPriority(int priority) {
    boolean wake;
    synchronized (this) {
      boolean before = pending;
      taskPriority = (priority & 0xF) << 4;
      wake = update() && !before;
    }
    wake(wake);
  }

  /// INIT: all but the mode and the APIC id. The mode after power-up comes with {@link
  /// LocalApics#powerUpState}.
  @Override
  public synchronized void reset() {
    clear();
  }

  // --- memory-mapped registers ---

  @Override
  public synchronized int readMmio(int offset) {
    if (x2apic() || (offset & 0xC) != 0) {
      return 0;
    }
    int register = offset & 0xFF0;
    int value;
    if (register == DESTINATION_FORMAT) {
      value = destinationFormat;
    } else if (register == ID) {
      value = id << 24;
    } else if (register == COMMAND_HIGH) {
      value = commandHigh;
    } else if (register == ARBITRATION_PRIORITY
        || register == REMOTE_READ
        || register == END_OF_INTERRUPT) {
      // Not in this family of processors, or write-only: zero, and no error (table's footnote).
      value = 0;
    } else if (readable(register)) {
      value = read(register);
    } else {
      error(ESR_ILLEGAL_REGISTER);
      update();
      value = 0;
    }
    return value >>> 8 * (offset & 3);
  }

  @Override
  public void writeMmio(int offset, int value) {
    synchronized (this) {
      if ((offset & 0xF) != 0 || x2apic()) {
        return;
      }
    }
    switch (offset) {
      case END_OF_INTERRUPT -> endOfInterrupt();
      case COMMAND_LOW -> {
        int low = value & ICR_LOW_WRITABLE;
        int high;
        synchronized (this) {
          commandLow = low;
          high = commandHigh;
        }
        bus.command(this, low, high >>> 24, false);
      }
      default -> {
        boolean wake;
        synchronized (this) {
          boolean before = pending;
          switch (offset) {
            case ID, VERSION, ARBITRATION_PRIORITY, PROCESSOR_PRIORITY, REMOTE_READ -> {}
            case CURRENT_COUNT -> {}
            case LOGICAL_DESTINATION -> logicalDestination = value & 0xFF00_0000;
            case DESTINATION_FORMAT -> destinationFormat = value | 0x0FFF_FFFF;
            case COMMAND_HIGH -> commandHigh = value & 0xFF00_0000;
            default -> {
              if (writable(offset)) {
                write(offset, value);
              } else if (offset < IN_SERVICE || offset >= ERROR_STATUS) {
                error(ESR_ILLEGAL_REGISTER);
              }
            }
          }
          wake = update() && !before;
        }
        wake(wake);
      }
    }
  }

  // --- x2APIC registers ---

  @Override
  public synchronized boolean readMsr(int index, Intercept.MsrRead into) {
    int register = (index - X2APIC_MSR) << 4;
    if (!x2apic() || register < 0 || register > 0xFF0) {
      return false;
    }
    switch (register) {
      case ID -> into.answer(id);
      case COMMAND_LOW -> into.answer((long) commandHigh << 32 | commandLow & 0xFFFF_FFFFL);
      default -> {
        if (!readable(register)) {
          return false;
        }
        into.answer(read(register) & 0xFFFF_FFFFL);
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
      if (!x2apic()) {
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
        return true;
      }
      case COMMAND_LOW -> {
        if ((low & ~ICR_LOW_WRITABLE) != 0) {
          return false;
        }
        int destination = (int) (value >>> 32);
        synchronized (this) {
          commandLow = low;
          commandHigh = destination;
        }
        bus.command(this, low, destination, true);
        return true;
      }
      case SELF_IPI -> {
        if ((low & ~0xFF) != 0) {
          return false;
        }
        bus.command(this, LocalApics.SHORTHAND_SELF | low, 0, true);
        return true;
      }
      default -> {
        if (!writable(register) || (low & x2apicReserved(register)) != 0) {
          return false;
        }
        boolean wake;
        synchronized (this) {
          boolean before = pending;
          write(register, low);
          wake = update() && !before;
        }
        wake(wake);
        return true;
      }
    }
  }

  /// Bits whose setting is a general-protection fault in x2APIC mode.
  private static int x2apicReserved(int register) {
    return switch (register) {
      case TASK_PRIORITY -> ~0xFF;
      case SPURIOUS_VECTOR -> ~SVR_WRITABLE;
      case ERROR_STATUS -> ~0;
      case DIVIDE_CONFIGURATION -> ~0b1011;
      case INITIAL_COUNT -> 0;
      default -> ~(lvtWritable((register - LVT_TIMER) >> 4) | LVT_DELIVERY_STATUS | LVT_REMOTE_IRR);
    };
  }

  // --- both kinds of access ---

  private static boolean readable(int register) {
    return switch (register) {
      case VERSION,
          TASK_PRIORITY,
          PROCESSOR_PRIORITY,
          LOGICAL_DESTINATION,
          SPURIOUS_VECTOR,
          ERROR_STATUS,
          COMMAND_LOW,
          LVT_TIMER,
          LVT_THERMAL,
          LVT_PERFORMANCE,
          LVT_LINT0,
          LVT_LINT1,
          LVT_ERROR,
          INITIAL_COUNT,
          CURRENT_COUNT,
          DIVIDE_CONFIGURATION ->
          true;
      default -> register >= IN_SERVICE && register < ERROR_STATUS;
    };
  }

  private int read(int register) {
    return switch (register) {
      case VERSION -> VERSION_VALUE;
      case TASK_PRIORITY -> taskPriority;
      case PROCESSOR_PRIORITY -> processorPriority;
      case LOGICAL_DESTINATION -> logicalDestination;
      case SPURIOUS_VECTOR -> spuriousVector;
      case ERROR_STATUS -> errorStatus;
      case COMMAND_LOW -> commandLow;
      case INITIAL_COUNT -> timer.initialCount();
      case CURRENT_COUNT -> timer.currentCount();
      case DIVIDE_CONFIGURATION -> timer.divideConfiguration();
      default -> {
        if (register >= LVT_TIMER) {
          yield lvt[(register - LVT_TIMER) >> 4];
        } else if (register >= INTERRUPT_REQUEST) {
          yield requests.word32((register - INTERRUPT_REQUEST) >> 4);
        } else if (register >= TRIGGER_MODE) {
          yield triggerMode.word32((register - TRIGGER_MODE) >> 4);
        } else {
          yield inService.word32((register - IN_SERVICE) >> 4);
        }
      }
    };
  }

  private static boolean writable(int register) {
    return switch (register) {
      case TASK_PRIORITY,
          SPURIOUS_VECTOR,
          ERROR_STATUS,
          LVT_TIMER,
          LVT_THERMAL,
          LVT_PERFORMANCE,
          LVT_LINT0,
          LVT_LINT1,
          LVT_ERROR,
          INITIAL_COUNT,
          DIVIDE_CONFIGURATION ->
          true;
      default -> false;
    };
  }

  private void write(int register, int value) {
    switch (register) {
      case TASK_PRIORITY -> taskPriority = value & 0xFF;
      case SPURIOUS_VECTOR -> {
        spuriousVector = value & SVR_WRITABLE;
        if (!softwareEnabled()) {
          for (int i = 0; i < LVT_COUNT; i++) {
            lvt[i] |= LVT_MASKED;
          }
        }
      }
      case ERROR_STATUS -> {
        errorStatus = newErrors;
        newErrors = 0;
      }
      case INITIAL_COUNT -> timer.setInitialCount(value);
      case DIVIDE_CONFIGURATION -> timer.setDivideConfiguration(value);
      default -> writeLvt((register - LVT_TIMER) >> 4, value);
    }
  }

  private void writeLvt(int entry, int value) {
    int masked = softwareEnabled() ? 0 : LVT_MASKED;
    lvt[entry] = value & lvtWritable(entry) | lvt[entry] & LVT_REMOTE_IRR | masked;
    if (entry == TIMER) {
      timer.setMode(value >> 17 & 0b11);
    } else if (entry == LINT0) {
      if ((value & LVT_LEVEL) == 0) {
        lvt[LINT0] &= ~LVT_REMOTE_IRR;
      } else if (line && fixed(lvt[LINT0])) {
        raiseLevelLint0();
      }
    }
  }

  // --- interrupts in ---

  int id() {
    return id;
  }

  int processorPriority() {
    return processorPriority;
  }

  /// Whether fixed interrupts reach this APIC at all.
  synchronized boolean acceptsFixed() {
    return enabled() && softwareEnabled();
  }

  /// Whether this APIC is meant by a message (SDM "Determining IPI Destination"). Eight-bit
  /// destinations come from MSIs and xAPIC senders; 0xFF is a broadcast in both modes.
  ///
  /// @param wide a 32-bit destination, of an x2APIC sender
  synchronized boolean matches(int destination, boolean wide, boolean logical) {
    if (destination == (wide ? 0xFFFF_FFFF : 0xFF)) {
      return true;
    }
    if (!logical) {
      return destination == id;
    }
    if (x2apic()) {
      return destination >>> 16 == logicalDestination >>> 16
          && (destination & logicalDestination & 0xFFFF) != 0;
    }
    int own = logicalDestination >>> 24;
    if ((destination & ~0xFF) != 0) {
      return false;
    }
    return switch (destinationFormat >>> 28) {
      case 0xF -> (destination & own) != 0;
      case 0x0 ->
          (destination >> 4 == own >> 4 || destination >> 4 == 0xF)
              && (destination & own & 0xF) != 0;
      default -> false;
    };
  }

  /// A message for this APIC. Any thread.
  ///
  /// @param mode delivery mode, as in the interrupt command register
  void deliver(int mode, int vector, boolean level) {
    switch (mode) {
      case DELIVERY_FIXED, DELIVERY_LOWEST_PRIORITY -> {
        boolean wake;
        synchronized (this) {
          if (!acceptsFixed()) {
            return;
          }
          wake = request(vector, level);
        }
        wake(wake);
      }
      case DELIVERY_NMI, DELIVERY_INIT, DELIVERY_STARTUP -> {
        synchronized (this) {
          if (!enabled()) {
            return;
          }
        }
        signal(mode, vector);
      }
      case DELIVERY_EXTINT -> {
        boolean wake;
        synchronized (this) {
          if (!acceptsFixed()) {
            return;
          }
          externalMessage = true;
          wake = update();
        }
        wake(wake);
      }
      default -> {
        // SMI: there is no system management mode. 3 is reserved.
      }
    }
  }

  private void signal(int mode, int vector) {
    switch (mode) {
      case DELIVERY_NMI -> processor.requestNmi();
      case DELIVERY_INIT -> processor.requestInit();
      case DELIVERY_STARTUP -> processor.requestStartup(vector);
      default -> throw new IllegalArgumentException("delivery mode " + mode);
    }
  }

  /// The level of the line into LINT0 (SDM "Local Vector Table").
  void setLint0(boolean asserted) {
    boolean wake;
    int mode = DELIVERY_FIXED;
    synchronized (this) {
      boolean rises = asserted && !line;
      line = asserted;
      if (rises && enabled() && (lvt[LINT0] & LVT_MASKED) == 0) {
        mode = lvt[LINT0] >> 8 & 7;
        if (mode == DELIVERY_FIXED) {
          if ((lvt[LINT0] & LVT_LEVEL) != 0) {
            raiseLevelLint0();
          } else {
            request(lvt[LINT0] & 0xFF, false);
          }
        }
      }
      wake = update();
    }
    if (mode == DELIVERY_NMI || mode == DELIVERY_INIT) {
      signal(mode, 0);
    }
    wake(wake);
  }

  /// A pulse on LINT1, where boards connect the NMI button.
  void pulseLint1() {
    boolean wake = false;
    int mode;
    synchronized (this) {
      if (!enabled() || (lvt[LINT1] & LVT_MASKED) != 0) {
        return;
      }
      mode = lvt[LINT1] >> 8 & 7;
      if (mode == DELIVERY_FIXED) {
        wake = request(lvt[LINT1] & 0xFF, false);
      }
    }
    if (mode == DELIVERY_NMI || mode == DELIVERY_INIT) {
      signal(mode, 0);
    }
    wake(wake);
  }

  /// Notes that this APIC sent a message with a vector under 16.
  void sentIllegalVector() {
    boolean wake;
    synchronized (this) {
      error(ESR_SEND_ILLEGAL_VECTOR);
      wake = update();
    }
    wake(wake);
  }

  private void timerFired() {
    boolean wake = false;
    synchronized (this) {
      if (timer.expire() && (lvt[TIMER] & LVT_MASKED) == 0 && enabled()) {
        wake = request(lvt[TIMER] & 0xFF, false);
      }
    }
    wake(wake);
  }

  private void endOfInterrupt() {
    boolean wake;
    int ended = -1;
    synchronized (this) {
      boolean before = pending;
      int vector = inService.highest();
      if (vector < 0) {
        return;
      }
      inService.remove(vector);
      if (triggerMode.contains(vector)) {
        if ((spuriousVector & SVR_SUPPRESS_EOI_BROADCAST) == 0) {
          ended = vector;
        }
        if ((lvt[LINT0] & LVT_REMOTE_IRR) != 0 && (lvt[LINT0] & 0xFF) == vector) {
          lvt[LINT0] &= ~LVT_REMOTE_IRR;
          if (line && fixed(lvt[LINT0])) {
            raiseLevelLint0();
          }
        }
      }
      wake = update() && !before;
    }
    if (ended >= 0) {
      bus.endOfInterrupt(id, ended);
    }
    wake(wake);
  }

  private static boolean fixed(int entry) {
    return (entry & LVT_MASKED) == 0 && (entry >> 8 & 7) == DELIVERY_FIXED;
  }

  private void raiseLevelLint0() {
    if ((lvt[LINT0] & (LVT_REMOTE_IRR | LVT_LEVEL)) == LVT_LEVEL) {
      lvt[LINT0] |= LVT_REMOTE_IRR;
      request(lvt[LINT0] & 0xFF, true);
    }
  }

  private boolean request(int vector, boolean level) {
    if (vector < 16) {
      error(ESR_RECEIVE_ILLEGAL_VECTOR);
    } else {
      requests.add(vector);
      if (level) {
        triggerMode.add(vector);
      } else {
        triggerMode.remove(vector);
      }
    }
    return update();
  }

  /// Notes an error, and interrupts for the first one since the guest wrote the status register.
  private void error(int bit) {
    boolean first = newErrors == 0;
    newErrors |= bit;
    int entry = lvt[ERROR];
    if (first && (entry & LVT_MASKED) == 0) {
      if ((entry & 0xFF) < 16) {
        newErrors |= ESR_RECEIVE_ILLEGAL_VECTOR;
      } else {
        requests.add(entry & 0xFF);
        triggerMode.remove(entry & 0xFF);
      }
    }
  }

  // --- common ---

  private boolean enabled() {
    return (apicBase & BASE_ENABLE) != 0;
  }

  private boolean x2apic() {
    return (apicBase & BASE_X2APIC) != 0;
  }

  private boolean softwareEnabled() {
    return (spuriousVector & SVR_ENABLE) != 0;
  }

  private static int x2apicLogicalId(int id) {
    return (id & ~0xF) << 12 | 1 << (id & 0xF);
  }

  /// A globally disabled APIC is out of the way: LINT0 is the processor's INTR pin.
  private boolean externalDeliverable() {
    if (!enabled()) {
      return line;
    }
    int entry = lvt[LINT0];
    return externalMessage
        || line && (entry & LVT_MASKED) == 0 && (entry >> 8 & 7) == DELIVERY_EXTINT;
  }

  /// Computes the processor priority and whether an interrupt can be taken.
  ///
  /// @return whether one can
  private boolean update() {
    int service = Math.max(0, inService.highest());
    int priority = taskPriority >> 4 >= service >> 4 ? taskPriority : service & 0xF0;
    if (priority != processorPriority) {
      processorPriority = priority;
    }
    boolean now = externalDeliverable() || enabled() && requests.highest() >> 4 > priority >> 4;
    if (now != pending) {
      pending = now;
    }
    return now;
  }

  private void wake(boolean needed) {
    if (needed) {
      processor.interruptRequested();
    }
  }

  private void clear() {
    taskPriority = 0;
    logicalDestination = x2apic() ? x2apicLogicalId(id) : 0;
    destinationFormat = 0xFFFF_FFFF;
    spuriousVector = 0xFF;
    inService.clear();
    triggerMode.clear();
    requests.clear();
    errorStatus = 0;
    newErrors = 0;
    commandLow = 0;
    commandHigh = 0;
    externalMessage = false;
    for (int i = 0; i < LVT_COUNT; i++) {
      lvt[i] = LVT_MASKED;
    }
    timer.reset();
    update();
  }

  // --- saved state ---

  /// What the page cannot hold is lost: errors the guest has not latched yet, and an ExtINT message
  /// that was not yet acknowledged. The level of LINT0's line is its driver's.
  @Override
  public synchronized LocalApicState state() {
    var page = new byte[LocalApicState.REGISTERS_SIZE];
    INT.set(page, ID, id << 24);
    for (int register = VERSION; register <= DIVIDE_CONFIGURATION; register += 0x10) {
      if (readable(register)) {
        INT.set(page, register, read(register));
      }
    }
    INT.set(page, DESTINATION_FORMAT, destinationFormat);
    INT.set(page, COMMAND_HIGH, commandHigh);
    return new LocalApicState(apicBase, page, timer.tscDeadline(), timer.remaining());
  }

  @Override
  public void setState(LocalApicState state) {
    long base = state.apicBase();
    if ((base & baseReserved) != 0 || (base & (BASE_ENABLE | BASE_X2APIC)) == BASE_X2APIC) {
      throw new IllegalArgumentException("IA32_APIC_BASE of 0x%x is impossible".formatted(base));
    }
    var page = state.registers();
    boolean wake;
    synchronized (this) {
      apicBase = base & ~BASE_BOOT_PROCESSOR | (boot ? BASE_BOOT_PROCESSOR : 0);
      clear();
      taskPriority = get(page, TASK_PRIORITY) & 0xFF;
      if (!x2apic()) {
        logicalDestination = get(page, LOGICAL_DESTINATION) & 0xFF00_0000;
      }
      destinationFormat = get(page, DESTINATION_FORMAT) | 0x0FFF_FFFF;
      spuriousVector = get(page, SPURIOUS_VECTOR) & SVR_WRITABLE;
      for (int i = 0; i < 8; i++) {
        // Vectors 0 to 15 cannot be requested.
        int legal = i == 0 ? 0xFFFF_0000 : ~0;
        inService.setWord32(i, get(page, IN_SERVICE + 16 * i) & legal);
        triggerMode.setWord32(i, get(page, TRIGGER_MODE + 16 * i) & legal);
        requests.setWord32(i, get(page, INTERRUPT_REQUEST + 16 * i) & legal);
      }
      errorStatus = get(page, ERROR_STATUS) & 0xFF;
      commandLow = get(page, COMMAND_LOW) & ICR_LOW_WRITABLE;
      commandHigh = get(page, COMMAND_HIGH) & (x2apic() ? ~0 : 0xFF00_0000);
      for (int i = 0; i < LVT_COUNT; i++) {
        int keep = lvtWritable(i) | (i == LINT0 ? LVT_REMOTE_IRR : 0);
        lvt[i] = get(page, LVT_TIMER + 16 * i) & keep | (softwareEnabled() ? 0 : LVT_MASKED);
      }
      timer.restore(
          lvt[TIMER] >> 17 & 0b11,
          get(page, INITIAL_COUNT),
          get(page, DIVIDE_CONFIGURATION),
          state.timerRemaining(),
          state.tscDeadline());
      wake = update();
    }
    wake(wake);
  }

  private static int get(byte[] page, int register) {
    return (int) INT.get(page, register);
  }
}

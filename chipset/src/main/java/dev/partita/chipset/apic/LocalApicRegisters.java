package dev.partita.chipset.apic;

import static dev.partita.chipset.apic.LocalApicLayout.*;

import dev.partita.hypervisor.LocalApic;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// A local APIC's registers and what they mean for the interrupts in it: requests, service,
/// priorities, errors, LINT0. A pure state machine; {@link ProcessorLocalApic} guards it, and
/// everything but the two volatile fields needs its lock.
///
/// After a change {@link #update} computes those fields.
final class LocalApicRegisters {
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private final int id;
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

  LocalApicRegisters(int id, long apicBase, ApicTimer timer) {
    this.id = id;
    this.apicBase = apicBase;
    this.timer = timer;
    clear();
  }

  /// Whether an interrupt can be taken, as of the last update. Any thread.
  boolean pending() {
    return pending;
  }

  /// The processor priority register, as of the last update. Any thread.
  int processorPriority() {
    return processorPriority;
  }

  /// Back to the state after INIT: all but the mode, the id and the level of LINT0's line.
  void clear() {
    taskPriority = 0;
    logicalDestination = x2apic() ? x2apicLogicalId() : 0;
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

  // --- modes ---

  long apicBase() {
    return apicBase;
  }

  /// Sets IA32_APIC_BASE, which the caller has checked.
  void setApicBase(long value) {
    boolean wasX2apic = x2apic();
    boolean wasEnabled = enabled();
    apicBase = value;
    if (wasEnabled && !enabled()) {
      clear();
    } else if (x2apic() && !wasX2apic) {
      // SDM "State Changes From xAPIC Mode to x2APIC Mode".
      logicalDestination = x2apicLogicalId();
      commandHigh = 0;
    }
  }

  boolean enabled() {
    return (apicBase & BASE_ENABLE) != 0;
  }

  boolean x2apic() {
    return (apicBase & BASE_X2APIC) != 0;
  }

  boolean softwareEnabled() {
    return (spuriousVector & SVR_ENABLE) != 0;
  }

  private int x2apicLogicalId() {
    return (id & ~0xF) << 12 | 1 << (id & 0xF);
  }

  // --- registers ---

  static boolean readable(int register) {
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
      // A register is 16 bytes apart from the next.
      default -> register >= IN_SERVICE && register < ERROR_STATUS && register % 16 == 0;
    };
  }

  /// @param register one that is {@link #readable}, or one of xAPIC mode alone
  int read(int register) {
    return switch (register) {
      case ID -> id << 24;
      case VERSION -> VERSION_VALUE;
      case TASK_PRIORITY -> taskPriority;
      case PROCESSOR_PRIORITY -> processorPriority;
      case LOGICAL_DESTINATION -> logicalDestination;
      case DESTINATION_FORMAT -> destinationFormat;
      case SPURIOUS_VECTOR -> spuriousVector;
      case ERROR_STATUS -> errorStatus;
      case COMMAND_LOW -> commandLow;
      case COMMAND_HIGH -> commandHigh;
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

  static boolean writable(int register) {
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

  /// Bits of a writable register whose setting is a general-protection fault in x2APIC mode.
  static int x2apicReserved(int register) {
    return switch (register) {
      case TASK_PRIORITY -> ~0xFF;
      case SPURIOUS_VECTOR -> ~SVR_WRITABLE;
      case ERROR_STATUS -> ~0;
      case DIVIDE_CONFIGURATION -> ~0b1011;
      case INITIAL_COUNT -> 0;
      default -> ~(lvtWritable((register - LVT_TIMER) >> 4) | LVT_DELIVERY_STATUS | LVT_REMOTE_IRR);
    };
  }

  /// @param register one that is {@link #writable}, or one of xAPIC mode alone
  void write(int register, int value) {
    switch (register) {
      case TASK_PRIORITY -> taskPriority = value & 0xFF;
      case LOGICAL_DESTINATION -> logicalDestination = value & 0xFF00_0000;
      case DESTINATION_FORMAT -> destinationFormat = value | 0x0FFF_FFFF;
      case COMMAND_HIGH -> commandHigh = value & 0xFF00_0000;
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

  /// Notes the command that is being sent.
  void setCommand(int low, int high) {
    commandLow = low;
    commandHigh = high;
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

  /// A local vector table entry, or -1 if it is masked or the APIC is off.
  int activeLvt(int entry) {
    return enabled() && (lvt[entry] & LVT_MASKED) == 0 ? lvt[entry] : -1;
  }

  private static boolean fixed(int entry) {
    return (entry & LVT_MASKED) == 0 && (entry >> 8 & 7) == DELIVERY_FIXED;
  }

  // --- interrupts ---

  /// Whether this APIC is meant by a message (SDM "Determining IPI Destination"). Eight-bit
  /// destinations come from MSIs and xAPIC senders; 0xFF is a broadcast in both modes.
  ///
  /// @param wide a 32-bit destination, of an x2APIC sender
  boolean matches(int destination, boolean wide, boolean logical) {
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

  /// A fixed interrupt comes in.
  void request(int vector, boolean level) {
    if (vector < 16) {
      error(ESR_RECEIVE_ILLEGAL_VECTOR);
      return;
    }
    requests.add(vector);
    if (level) {
      triggerMode.add(vector);
    } else {
      triggerMode.remove(vector);
    }
  }

  /// An ExtINT message comes in.
  void requestExternal() {
    externalMessage = true;
  }

  /// Notes an error, and interrupts for the first one since the guest wrote the status register.
  void error(int bit) {
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

  /// Sets the level of LINT0's line. A fixed interrupt is requested here.
  ///
  /// @return the delivery mode that the line's rise has, or -1 if it has no effect
  int setLine(boolean asserted) {
    boolean rises = asserted && !line;
    line = asserted;
    int entry = activeLvt(LINT0);
    if (!rises || entry < 0) {
      return -1;
    }
    if (fixed(entry)) {
      if ((entry & LVT_LEVEL) != 0) {
        raiseLevelLint0();
      } else {
        request(entry & 0xFF, false);
      }
    }
    return entry >> 8 & 7;
  }

  private void raiseLevelLint0() {
    if ((lvt[LINT0] & (LVT_REMOTE_IRR | LVT_LEVEL)) == LVT_LEVEL) {
      lvt[LINT0] |= LVT_REMOTE_IRR;
      request(lvt[LINT0] & 0xFF, true);
    }
  }

  /// Takes what is to be delivered now into service.
  ///
  /// @return the vector, {@link LocalApic.EXTERNAL}, or -1
  int acknowledge() {
    if (externalDeliverable()) {
      externalMessage = false;
      return LocalApic.EXTERNAL;
    }
    int vector = requests.highest();
    if (!enabled() || vector >> 4 <= processorPriority >> 4) {
      return -1;
    }
    requests.remove(vector);
    inService.add(vector);
    return vector;
  }

  /// Ends the interrupt in service that has the highest priority.
  ///
  /// @return its vector if others are to hear of it, -1 if not
  int endOfInterrupt() {
    int vector = inService.highest();
    if (vector < 0) {
      return -1;
    }
    inService.remove(vector);
    if (!triggerMode.contains(vector)) {
      return -1;
    }
    if ((lvt[LINT0] & LVT_REMOTE_IRR) != 0 && (lvt[LINT0] & 0xFF) == vector) {
      lvt[LINT0] &= ~LVT_REMOTE_IRR;
      if (line && fixed(lvt[LINT0])) {
        raiseLevelLint0();
      }
    }
    return (spuriousVector & SVR_SUPPRESS_EOI_BROADCAST) == 0 ? vector : -1;
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
  boolean update() {
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

  // --- saved state ---

  /// The page, in xAPIC layout. Errors that the guest has not latched, an ExtINT message that was
  /// not acknowledged and the level of LINT0's line are not in it.
  byte[] page(int size) {
    var page = new byte[size];
    for (int register = ID; register <= DIVIDE_CONFIGURATION; register += 0x10) {
      if (readable(register)
          || register == ID
          || register == DESTINATION_FORMAT
          || register == COMMAND_HIGH) {
        INT.set(page, register, read(register));
      }
    }
    return page;
  }

  void restore(long base, byte[] page, long timerRemaining, long tscDeadline) {
    apicBase = base;
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
        timerRemaining,
        tscDeadline);
  }

  private static int get(byte[] page, int register) {
    return (int) INT.get(page, register);
  }
}

package dev.partita.chipset.apic;

import static dev.partita.chipset.apic.LocalApicLayout.*;

import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.LocalApicBus;
import dev.partita.hypervisor.LocalApicState;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.VirtualProcessor;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// The local APICs of a partition whose engine has none of its own, and the bus between them. Given
/// to the engine as {@link PartitionConfiguration#interruptControllers()}: `LocalApics::new`.
///
/// An APIC's id is its processor's index. Destinations follow the Intel SDM, volume 3: physical,
/// logical flat, logical cluster, and x2APIC logical. Of several processors that match a
/// lowest-priority message, the one with the lowest processor priority takes it; among equals the
/// vector decides, so that a run can be repeated.
public final class LocalApics implements LocalApicBus {
  /// Frequency of the APIC timer before its divider, in hertz. A guest learns it from the Hyper-V
  /// APIC frequency MSR.
  public static final long APIC_FREQUENCY = 1_000_000_000L;

  static final int SHORTHAND_SELF = 1 << 18;

  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private final PartitionConfiguration configuration;
  private volatile ProcessorLocalApic[] apics = {};
  private volatile EndOfInterruptListener listener = (processor, vector) -> {};

  public LocalApics(Partition partition) {
    this.configuration = partition.configuration();
  }

  @Override
  public synchronized LocalApic connect(VirtualProcessor processor) {
    if (processor.index() != apics.length) {
      throw new IllegalArgumentException(
          "processor %d connected as number %d".formatted(processor.index(), apics.length));
    }
    var apic = new ProcessorLocalApic(this, processor, configuration);
    var all = Arrays.copyOf(apics, apics.length + 1);
    all[apics.length] = apic;
    apics = all;
    return apic;
  }

  @Override
  public void onEndOfInterrupt(EndOfInterruptListener listener) {
    this.listener = listener;
  }

  @Override
  public void setExternalInterrupt(boolean asserted) {
    var all = apics;
    if (all.length > 0) {
      all[0].setLint0(asserted);
    }
  }

  /// A pulse on every processor's LINT1, as an NMI button gives. Any thread.
  public void pulseLint1() {
    for (var apic : apics) {
      apic.pulseLint1();
    }
  }

  /// {@inheritDoc}
  ///
  /// Decodes "Message Address Register Format" and "Message Data Register Format" of the SDM. The
  /// destination mode counts whether or not the redirection hint is set; a hint with a logical
  /// destination lets the lowest-priority processor take it. Addresses outside 0xFEExxxxx are
  /// ignored.
  @Override
  public void signalMsi(long address, int data) {
    if (address >>> 20 != 0xFEE) {
      return;
    }
    int destination = (int) (address >> 12) & 0xFF;
    boolean logical = (address & 1 << 2) != 0;
    boolean redirect = (address & 1 << 3) != 0 && logical;
    int mode = data >> 8 & 7;
    boolean level = (data & 1 << 15) != 0;
    if (level && (data & 1 << 14) == 0) {
      // A level de-assert message: nothing to do.
      return;
    }
    boolean lowest = mode == DELIVERY_LOWEST_PRIORITY || redirect && mode == DELIVERY_FIXED;
    dispatch(null, destination, false, logical, mode, data & 0xFF, level, lowest);
  }

  /// A write of the interrupt command register.
  ///
  /// @param wide whether the destination has 32 bits (x2APIC mode) or 8
  void command(ProcessorLocalApic sender, int low, int destination, boolean wide) {
    int vector = low & 0xFF;
    int mode = low >> 8 & 7;
    if (mode == DELIVERY_INIT && (low & (ICR_LEVEL | ICR_ASSERT)) == ICR_LEVEL) {
      // INIT level de-assert: only sets arbitration ids, which these processors do not have.
      return;
    }
    if (mode == DELIVERY_EXTINT) {
      // Reserved in this register.
      return;
    }
    boolean lowest = mode == DELIVERY_LOWEST_PRIORITY;
    if ((mode == DELIVERY_FIXED || lowest) && vector < 16) {
      sender.sentIllegalVector();
      return;
    }
    // Messages from this register are edge-triggered whatever bit 15 says.
    switch (low >> 18 & 3) {
      case 0 -> {
        boolean logical = (low & ICR_LOGICAL) != 0;
        dispatch(null, destination, wide, logical, mode, vector, false, lowest);
      }
      case 1 -> sender.deliver(mode, vector, false);
      case 2 -> dispatch(null, 0xFFFF_FFFF, true, false, mode, vector, false, lowest);
      default -> dispatch(sender, 0xFFFF_FFFF, true, false, mode, vector, false, lowest);
    }
  }

  private void dispatch(
      @Nullable ProcessorLocalApic except,
      int destination,
      boolean wide,
      boolean logical,
      int mode,
      int vector,
      boolean level,
      boolean lowest) {
    var all = apics;
    boolean broadcast = destination == (wide ? 0xFFFF_FFFF : 0xFF);
    if (!logical && !broadcast) {
      if (destination >= 0 && destination < all.length) {
        all[destination].deliver(mode, vector, level);
      }
      return;
    }
    if (lowest) {
      var best = lowestPriority(all, except, destination, wide, logical, vector);
      if (best != null) {
        best.deliver(mode, vector, level);
      }
      return;
    }
    for (var apic : all) {
      if (apic != except && apic.matches(destination, wide, logical)) {
        apic.deliver(mode, vector, level);
      }
    }
  }

  private static @Nullable ProcessorLocalApic lowestPriority(
      ProcessorLocalApic[] all,
      @Nullable ProcessorLocalApic except,
      int destination,
      boolean wide,
      boolean logical,
      int vector) {
    ProcessorLocalApic best = null;
    for (int i = 0; i < all.length; i++) {
      var apic = all[(vector + i) % all.length];
      if (apic != except
          && apic.matches(destination, wide, logical)
          && apic.acceptsFixed()
          && (best == null || apic.processorPriority() < best.processorPriority())) {
        best = apic;
      }
    }
    return best;
  }

  void endOfInterrupt(int processorIndex, int vector) {
    listener.endOfInterrupt(processorIndex, vector);
  }

  /// The state of a local APIC after power-up: xAPIC mode, everything masked.
  ///
  /// @param id the processor's index; 0 is the boot processor
  public static LocalApicState powerUpState(int id) {
    var page = new byte[LocalApicState.REGISTERS_SIZE];
    INT.set(page, ID, id << 24);
    INT.set(page, VERSION, VERSION_VALUE);
    INT.set(page, DESTINATION_FORMAT, 0xFFFF_FFFF);
    INT.set(page, SPURIOUS_VECTOR, 0xFF);
    for (int i = 0; i < LVT_COUNT; i++) {
      INT.set(page, LVT_TIMER + 16 * i, LVT_MASKED);
    }
    return new LocalApicState(BASE_RESET | (id == 0 ? BASE_BOOT_PROCESSOR : 0), page, 0, -1);
  }

  /// The state a PC's firmware leaves to the boot processor's operating system: virtual wire mode
  /// (MultiProcessor Specification 1.4, section 3.6.2.2), in which the legacy controller's line
  /// comes through LINT0 as ExtINT and LINT1 is NMI.
  public static LocalApicState virtualWireState() {
    var state = powerUpState(0);
    INT.set(state.registers(), SPURIOUS_VECTOR, SVR_ENABLE | 0xFF);
    INT.set(state.registers(), LVT_LINT0, DELIVERY_EXTINT << 8);
    INT.set(state.registers(), LVT_LINT1, DELIVERY_NMI << 8);
    return state;
  }
}

package dev.partita.chipset;

import dev.partita.chipset.apic.LocalApics;
import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.GuestMemory;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.ManualTimeSource;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.VirtualProcessor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/// A partition of processors that run nothing, with this module's local APICs.
public final class TestPartition implements Partition {
  public static final long TSC_FREQUENCY = 2_000_000_000L;

  /// 2024-02-28T23:59:58Z.
  public static final long WALL_CLOCK = 1_709_164_798_000_000_000L;

  public final ManualTimeSource time = new ManualTimeSource(WALL_CLOCK);
  public final List<TestProcessor> cpus = new ArrayList<>();
  public final List<LocalApic> apics = new ArrayList<>();
  public final List<Integer> ended = Collections.synchronizedList(new ArrayList<>());
  public final LocalApics bus;
  private final PartitionConfiguration configuration;

  public TestPartition(int processors) {
    var cpuid =
        new CpuidTable(
            List.of(
                new CpuidTable.Leaf(1, CpuidTable.ANY_SUBLEAF, 0, 0, 1 << 21 | 1 << 24, 1 << 9),
                new CpuidTable.Leaf(0x8000_0008, CpuidTable.ANY_SUBLEAF, 39, 0, 0, 0)));
    configuration =
        new PartitionConfiguration(
            processors,
            new GuestMemory(GuestMemory.MINIMUM_SIZE),
            cpuid,
            TSC_FREQUENCY,
            time,
            LocalApics::new);
    bus = (LocalApics) configuration.interruptControllers().apply(this);
    bus.onEndOfInterrupt((processor, vector) -> ended.add(vector));
    for (int i = 0; i < processors; i++) {
      var cpu = new TestProcessor(i, time, TSC_FREQUENCY);
      cpus.add(cpu);
      apics.add(bus.connect(cpu));
    }
  }

  @Override
  public PartitionConfiguration configuration() {
    return configuration;
  }

  @Override
  public List<VirtualProcessor> processors() {
    return List.copyOf(cpus);
  }

  @Override
  public boolean hasLocalApics() {
    return false;
  }

  @Override
  public void signalMsi(long address, int data) {
    bus.signalMsi(address, data);
  }

  @Override
  public void setExternalInterrupt(boolean asserted) {
    bus.setExternalInterrupt(asserted);
  }

  @Override
  public void close() {
    memory().close();
  }
}

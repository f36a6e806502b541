package dev.partita.engine.software;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;

/// The engine that needs nothing of the host but a JVM: an x86-64 interpreter in Java.
public final class SoftwareEngine implements Engine {
  @Override
  public String name() {
    return "software";
  }

  @Override
  public CpuidTable supportedCpuid() {
    return SupportedCpuid.TABLE;
  }

  @Override
  public Partition createPartition(PartitionConfiguration configuration) {
    return new SoftwarePartition(configuration);
  }
}

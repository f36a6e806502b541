package dev.partita.engine.software;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import java.util.List;

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
    JvmOptions.tell();
    return new SoftwarePartition(configuration);
  }

  /// The options with which an application that embeds this engine should start its JVM: without
  /// them the engine works, more slowly, and says so once through {@link System.Logger}. (Partita's
  /// launcher gives them.)
  public static List<String> jvmOptions() {
    return JvmOptions.wanted();
  }
}

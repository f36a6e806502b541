package dev.partita.engine.kvm;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.Partition;
import dev.partita.hypervisor.PartitionConfiguration;
import dev.partita.hypervisor.PartitionException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/// The engine that runs guest code on the host's processors through the kernel's KVM, which must be
/// there ({@link #selfTest()} tells how well it works). Making an engine asks nothing of the host.
///
/// The local APICs are KVM's; the I/O APIC and the 8259 are the partition owner's (a "split"
/// interrupt controller). Halts stay in the kernel and are not reported.
public final class KvmEngine implements Engine {
  /// The system property that names KVM's device, should it be elsewhere than at `/dev/kvm`.
  public static final String DEVICE_PROPERTY = "partita.kvm.device";

  private final Path device;
  private final DirtyTracking tracking;
  private final boolean isSelfTest;
  private @Nullable HostFacts facts;
  private SelfTest.@Nullable Result tested;

  /// The engine on the device that {@link #DEVICE_PROPERTY} names, or else on `/dev/kvm`.
  public KvmEngine() {
    this(Path.of(System.getProperty(DEVICE_PROPERTY, "/dev/kvm")), DirtyTracking.AUTOMATIC);
  }

  KvmEngine(Path device, DirtyTracking tracking) {
    this(device, tracking, false);
  }

  private KvmEngine(Path device, DirtyTracking tracking, boolean isSelfTest) {
    this.device = device;
    this.tracking = tracking;
    this.isSelfTest = isSelfTest;
  }

  /// KVM's device; whether there is one is another question.
  public Path device() {
    return device;
  }

  @Override
  public String name() {
    return "kvm";
  }

  /// @throws PartitionException if KVM is not to be had on this host
  @Override
  public CpuidTable supportedCpuid() {
    return facts().cpuid();
  }

  /// @throws PartitionException if KVM is not to be had on this host
  @Override
  public long tscFrequency() {
    return facts().tscFrequency();
  }

  private synchronized HostFacts facts() {
    if (facts == null) {
      try (var host = KvmHost.open(device)) {
        facts = HostFacts.of(host);
      } catch (KvmException e) {
        throw refused(e);
      }
    }
    return facts;
  }

  @Override
  public Partition createPartition(PartitionConfiguration configuration) {
    try {
      return new KvmPartition(this, configuration, facts());
    } catch (KvmException e) {
      throw refused(e);
    }
  }

  private static PartitionException refused(KvmException e) {
    return new PartitionException("KVM: " + e.getMessage(), e);
  }

  DirtyTracking tracking() {
    return tracking;
  }

  /// Whether dirty pages come by rings, if KVM has them.
  boolean hasRings() {
    return switch (tracking) {
      case RINGS -> true;
      case BITMAPS -> false;
      case AUTOMATIC -> selfTest().works();
    };
  }

  /// Finds out whether this host's KVM can run an ordinary operating system at the speed of the
  /// hardware. Takes a few milliseconds the first time.
  public synchronized SelfTest.Result selfTest() {
    if (tested == null) {
      tested = SelfTest.run(new KvmEngine(device, DirtyTracking.BITMAPS, true));
    }
    return tested;
  }

  /// What an operator should know of a guest that failed on this host; empty if nothing. The guest
  /// of the self-test is not to be told of itself.
  String remark() {
    if (isSelfTest) {
      return "";
    }
    var result = selfTest();
    return result.works() ? "" : "; " + result.reason() + ": use --engine software";
  }
}

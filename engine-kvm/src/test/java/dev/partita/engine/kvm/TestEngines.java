package dev.partita.engine.kvm;

import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.partita.engine.software.SoftwareEngine;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.PartitionException;
import java.util.stream.Stream;

/// The engines that tests run on.
final class TestEngines {
  private TestEngines() {}

  static Stream<Engine> all() {
    return Stream.of(new SoftwareEngine(), new KvmEngine());
  }

  /// The same, and KVM with bitmaps in place of rings.
  static Stream<Engine> allWaysOfTracking() {
    return Stream.concat(all(), Stream.of(withBitmaps()));
  }

  static KvmEngine withBitmaps() {
    return new KvmEngine(new KvmEngine().device(), DirtyTracking.BITMAPS);
  }

  /// Skips a test, and says why, on a host that does not have the engine.
  static void assumeThere(Engine engine) {
    try {
      engine.supportedCpuid();
    } catch (PartitionException e) {
      abort("skipped: " + e.getMessage());
    }
  }

  /// For what a KVM without hardware under it cannot do: not a failure of the engine.
  static void assumeWorkingKvm(Engine engine, String reason) {
    if (engine instanceof KvmEngine kvm) {
      var result = kvm.selfTest();
      assumeTrue(result.works(), () -> "skipped: " + reason + "; " + result.reason());
    }
  }
}

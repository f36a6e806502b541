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

  /// The same, KVM with rings and with bitmaps of dirty pages.
  static Stream<Engine> allWaysOfTracking() {
    return Stream.of(new SoftwareEngine(), with(DirtyTracking.RINGS), with(DirtyTracking.BITMAPS));
  }

  static KvmEngine with(DirtyTracking tracking) {
    return new KvmEngine(new KvmEngine().device(), tracking);
  }

  /// For what needs a KVM that stops a processor before its ring overflows.
  static void assumeSoundRings(Engine engine) {
    if (engine instanceof KvmEngine kvm && kvm.tracking() == DirtyTracking.RINGS) {
      assumeWorkingKvm(engine, "rings of dirty pages may overflow here");
    }
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

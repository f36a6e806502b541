package dev.partita.worker;

import dev.partita.engine.kvm.KvmEngine;
import dev.partita.engine.kvm.SelfTest;
import dev.partita.engine.software.SoftwareEngine;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.PartitionException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// The engines there are; the one place that knows.
public final class Engines {
  /// Stands for the best engine that works on this host.
  public static final String AUTO = "auto";

  private static final KvmEngine KVM = new KvmEngine();
  private static final Engine SOFTWARE = new SoftwareEngine();

  /// The engine that needs no hardware virtualization.
  public static final String SOFTWARE_NAME = SOFTWARE.name();

  private static final List<Engine> ALL = List.of(KVM, SOFTWARE);

  private static @Nullable Choice best;

  private Engines() {}

  /// An engine, and how it came to be the one.
  ///
  /// @param reason a phrase for the operator
  public record Choice(Engine engine, String reason) {}

  /// What an operator may choose, {@link #AUTO} first.
  public static List<String> names() {
    var names = new java.util.ArrayList<String>();
    names.add(AUTO);
    ALL.forEach(engine -> names.add(engine.name()));
    return names;
  }

  /// The engine of a name. For {@link #AUTO} the host's KVM is tried with a small guest, once in a
  /// process; any other name is obeyed.
  ///
  /// @throws PartitionException if there is none
  public static Choice named(String name) {
    if (name.equals(AUTO)) {
      return best();
    }
    for (var engine : ALL) {
      if (engine.name().equals(name)) {
        return new Choice(engine, "it was asked for");
      }
    }
    throw new PartitionException(
        "no engine \"%s\": there are %s".formatted(name, String.join(", ", names())));
  }

  /// What an operator should know who chose an engine that {@link #AUTO} would not take.
  public static Optional<String> caution(String name) {
    if (!name.equals(KVM.name()) || !Files.exists(KVM.device())) {
      return Optional.empty();
    }
    var result = KVM.selfTest();
    return result.works() ? Optional.empty() : Optional.of(result.reason());
  }

  /// Where KVM's device is, if there is one.
  public static Path kvmDevice() {
    return KVM.device();
  }

  private static synchronized Choice best() {
    if (best == null) {
      best = choose(KVM, Files.exists(KVM.device()), KVM::selfTest);
    }
    return best;
  }

  /// @param hasDevice whether the host has KVM's device at all
  /// @param test is asked only if it has
  static Choice choose(KvmEngine kvm, boolean hasDevice, Supplier<SelfTest.Result> test) {
    if (!hasDevice) {
      return new Choice(SOFTWARE, "this host has no " + kvm.device());
    }
    var result = test.get();
    return new Choice(result.works() ? kvm : SOFTWARE, result.reason());
  }
}

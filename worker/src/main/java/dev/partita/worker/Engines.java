package dev.partita.worker;

import dev.partita.engine.software.SoftwareEngine;
import dev.partita.hypervisor.Engine;
import dev.partita.hypervisor.PartitionException;
import java.util.List;

/// The engines there are; the one place that knows.
public final class Engines {
  /// Stands for the best engine that works on this host.
  public static final String AUTO = "auto";

  private static final List<Engine> ALL = List.of(new SoftwareEngine());

  private Engines() {}

  /// What an operator may choose, {@link #AUTO} first.
  public static List<String> names() {
    var names = new java.util.ArrayList<String>();
    names.add(AUTO);
    ALL.forEach(engine -> names.add(engine.name()));
    return names;
  }

  /// The engine of a name.
  ///
  /// @throws PartitionException if there is none
  public static Engine named(String name) {
    if (name.equals(AUTO)) {
      return ALL.getFirst();
    }
    for (var engine : ALL) {
      if (engine.name().equals(name)) {
        return engine;
      }
    }
    throw new PartitionException(
        "no engine \"%s\": there are %s".formatted(name, String.join(", ", names())));
  }
}

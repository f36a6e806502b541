package dev.partita.engine.software;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

/// The options that the translator wants of the JVM. Partita's launcher gives them (the file
/// jvm.options, which is kept beside this class); an application that embeds the engine may not.
/// Then everything works, but translated code is compiled late and by other rules, and reaches
/// memory by a longer way.
final class JvmOptions {
  /// Set in jvm.options: whoever gave that file gave all.
  private static final String GIVEN = "partita.options";

  /// What the engine needs of that file: how its classes are compiled, and access to memory.
  private static final List<String> OURS =
      List.of(
          "-XX:CompileCommand=",
          "-XX:-ClipInlining",
          "-XX:-DontCompileHugeMethods",
          "-XX:+UnlockDiagnosticVMOptions",
          "-XX:+WhiteBoxAPI",
          "-XX:-DisplayVMOutput");

  private static final String EXPORT = "--add-exports=java.base/jdk.internal.misc=";

  private static final AtomicBoolean TOLD = new AtomicBoolean();

  private JvmOptions() {}

  /// All that the engine wants, in an order that java takes.
  static List<String> wanted() {
    var wanted = new ArrayList<String>();
    try (var in = JvmOptions.class.getResourceAsStream("jvm.options");
        var reader =
            new BufferedReader(
                new InputStreamReader(Objects.requireNonNull(in), StandardCharsets.UTF_8))) {
      reader.lines().filter(line -> OURS.stream().anyMatch(line::startsWith)).forEach(wanted::add);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    var module = JvmOptions.class.getModule();
    wanted.add(EXPORT + (module.isNamed() ? module.getName() : "ALL-UNNAMED"));
    return wanted;
  }

  /// Those of them that this JVM was not given.
  static List<String> missing() {
    var given = System.getProperty(GIVEN) == null ? arguments() : Set.copyOf(wanted());
    boolean exported =
        Object.class.getModule().isExported("jdk.internal.misc", JvmOptions.class.getModule());
    return wanted().stream()
        .filter(each -> each.startsWith(EXPORT) ? !exported : !given.contains(each))
        .toList();
  }

  private static Set<String> arguments() {
    // The module may be left out of a run-time image.
    return ModuleLayer.boot().findModule("java.management").isPresent()
        ? new HashSet<>(ManagementFactory.getRuntimeMXBean().getInputArguments())
        : Set.of();
  }

  /// Tells the operator, once in a process, what is missing.
  static void tell() {
    if (Translator.TIER == Translator.Tier.INTERPRETER || TOLD.getAndSet(true)) {
      return;
    }
    var missing = missing();
    if (!missing.isEmpty()) {
      System.getLogger(SoftwareEngine.class.getName())
          .log(
              System.Logger.Level.WARNING,
              "the software engine is slower than it could be, for the JVM was not given: "
                  + String.join(" ", missing));
    }
  }
}

package dev.partita.benchmarks;

import java.io.IOException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// Options of the benchmarks that run the same guest under Partita and under QEMU.
final class GuestOptions {
  private enum Program {
    PARTITA,
    QEMU
  }

  /// MiB of the guest.
  @Option(
      names = {"-m", "--memory"},
      paramLabel = "MIB",
      defaultValue = "512",
      description = "RAM in MiB (default: ${DEFAULT-VALUE}).")
  int memory;

  /// Seconds after which a guest is taken for hung.
  @Option(names = "--limit", paramLabel = "SECONDS", defaultValue = "900", hidden = true)
  int limit;

  @Option(
      names = "--only",
      paramLabel = "NAME",
      description = "Only partita, or only qemu: no ratio then.")
  private @Nullable Program only;

  boolean partita() {
    return only != Program.QEMU;
  }

  boolean qemu() {
    return only != Program.PARTITA;
  }

  /// Refuses to begin if QEMU is to be run and is not there.
  void requirePrograms() throws IOException {
    if (qemu()) {
      SideBySide.require(
          SideBySide.QEMU, "qemu-system-x86", ", or measure Partita alone with --only partita");
    }
  }
}

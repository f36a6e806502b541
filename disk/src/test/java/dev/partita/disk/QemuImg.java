package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;

/// Runs `qemu-img`, another implementation of the formats.
final class QemuImg {
  private QemuImg() {}

  static void require() {
    boolean there = false;
    for (var folder : System.getenv().getOrDefault("PATH", "").split(":")) {
      there |= Files.isExecutable(Path.of(folder, "qemu-img"));
    }
    Assumptions.assumeTrue(there, "qemu-img is not installed (Debian: apt install qemu-utils)");
  }

  static String run(Object... arguments) throws IOException, InterruptedException {
    var command = new ArrayList<>(List.of("qemu-img"));
    for (var argument : arguments) {
      command.add(argument.toString());
    }
    var process = new ProcessBuilder(command).redirectErrorStream(true).start();
    var output = new String(process.getInputStream().readAllBytes());
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(command + "\n" + output).isZero();
    return output;
  }

  static String format(DiskFormat format) {
    return switch (format) {
      case RAW -> "raw";
      case VHD -> "vpc";
      case VHDX -> "vhdx";
    };
  }
}

package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.GuestMemory;
import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.NonNull;
import org.junit.jupiter.api.Test;

/// The engine in a JVM that was started without the launcher's options, and with them.
class EmbeddedEngineTest {
  private record Result(int exitCode, String output) {}

  private static Result run(List<String> options) throws Exception {
    var path =
        Stream.of(SoftwareEngine.class, EmbeddedGuest.class, GuestMemory.class, NonNull.class)
            .map(EmbeddedEngineTest::place)
            .collect(Collectors.joining(File.pathSeparator));
    var command = new ArrayList<String>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(options);
    // Requests are made early, and answered before the processor goes on.
    command.addAll(List.of("-Dpartita.tier=translator", "-cp", path));
    command.add(EmbeddedGuest.class.getName());
    var process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    var output = new String(process.getInputStream().readAllBytes());
    return new Result(process.waitFor(), output);
  }

  private static String place(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
    } catch (java.net.URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void withoutItsOptionsItWorksAndSaysOnceWhatIsMissing() throws Exception {
    var result = run(List.of());
    assertThat(result.output).contains("counted 3000000", "translated");
    assertThat(result.output.split("slower than it could be", -1)).hasSize(2);
    assertThat(SoftwareEngine.jvmOptions())
        .hasSizeGreaterThan(5)
        .allSatisfy(option -> assertThat(result.output).contains(option));
    assertThat(result.exitCode).isZero();
  }

  @Test
  void withItsOptionsItHasNothingToSay() throws Exception {
    var result = run(SoftwareEngine.jvmOptions());
    assertThat(result.output).contains("counted 3000000", "translated").doesNotContain("slower");
    assertThat(result.exitCode).isZero();
  }
}

package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
class ControlSocketTest {
  @TempDir Path temporary;

  private final Console console = new Console();
  private final CompletableFuture<Boolean> stopped = new CompletableFuture<>();
  private final CompletableFuture<String> end = new CompletableFuture<>();
  private boolean canShutDown;
  private Path path = Path.of("");
  private AutoCloseable socket = () -> {};

  @BeforeEach
  void listen() throws Exception {
    path = temporary.resolve("s");
    socket =
        new ControlSocket(
            path,
            new ControlSocket.Target() {
              @Override
              public String status() {
                return "name=test\n";
              }

              @Override
              public void stop() {
                stopped.complete(true);
              }

              @Override
              public boolean shutDown() {
                return canShutDown;
              }

              @Override
              public Console console() {
                return console;
              }

              @Override
              public String awaitEnd() {
                return end.join();
              }
            });
  }

  @AfterEach
  void close() throws Exception {
    end.complete("");
    socket.close();
    console.close();
  }

  @Test
  void statusIsAnswered() throws Exception {
    try (var client = new ControlClient(path, "status")) {
      assertThat(client.answer()).isEqualTo("name=test\n");
    }
  }

  @Test
  void stopStops() throws Exception {
    try (var client = new ControlClient(path, "stop")) {
      assertThat(client.firstLine()).isEqualTo("ok");
    }
    assertThat(stopped.get()).isTrue();
  }

  @Test
  void shutdownTellsWhetherTheGuestCouldBeAsked() throws Exception {
    try (var client = new ControlClient(path, "shutdown")) {
      assertThat(client.answer()).startsWith("error ").contains("shutdown service");
    }
    canShutDown = true;
    try (var client = new ControlClient(path, "shutdown")) {
      assertThat(client.answer()).isEqualTo("ok\n");
    }
    assertThat(stopped).isNotDone();
  }

  @Test
  void waitAnswersAtTheEnd() throws Exception {
    try (var client = new ControlClient(path, "wait")) {
      end.complete("exit 4\nit crashed\n");
      assertThat(client.answer()).isEqualTo("exit 4\nit crashed\n");
    }
  }

  @Test
  void theConsoleGoesBothWays() throws Exception {
    try (var client = new ControlClient(path, "console")) {
      assertThat(client.firstLine()).isEqualTo("ok");
      "login: ".chars().forEach(console::transmit);
      assertThat(new String(client.input().readNBytes(7), StandardCharsets.US_ASCII))
          .isEqualTo("login: ");
      client.output().write('r');
      var bytes = new byte[8];
      assertThat(console.receive(bytes)).isEqualTo(1);
      assertThat(bytes[0]).isEqualTo((byte) 'r');
    }
  }

  @Test
  void aSecondConsoleClientTakesTheLine() throws Exception {
    try (var first = new ControlClient(path, "console")) {
      assertThat(first.firstLine()).isEqualTo("ok");
      try (var second = new ControlClient(path, "console")) {
        assertThat(second.firstLine()).isEqualTo("ok");
        assertThat(first.input().read()).isEqualTo(-1);
        console.transmit('x');
        assertThat(second.input().read()).isEqualTo('x');
      }
    }
  }

  @Test
  void rubbishIsRefused() throws Exception {
    try (var client = new ControlClient(path, "format c:")) {
      assertThat(client.answer()).startsWith("error ");
    }
    try (var client = new ControlClient(path, "x".repeat(10_000))) {
      assertThat(client.firstLine()).startsWith("error ");
    }
    try (var client = new ControlClient(path, "status")) {
      assertThat(client.answer()).isEqualTo("name=test\n");
    }
  }
}

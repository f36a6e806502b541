package dev.partita.worker;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.ManualTimeSource;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class ControlSocketTest {
  @TempDir Path temporary;

  private final Console console = new Console();
  private final Drives drives = new Drives();
  private final ManualTimeSource time = new ManualTimeSource(0);
  private final Adapters adapters = new Adapters("test", Path.of("/nonexistent"), 1, () -> time);
  private final CompletableFuture<Boolean> stopped = new CompletableFuture<>();
  private final CompletableFuture<String> end = new CompletableFuture<>();
  private final AtomicInteger resets = new AtomicInteger();
  private volatile @Nullable GuestServices services;
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
              public void reset() {
                resets.incrementAndGet();
              }

              @Override
              public boolean awaitReset(int count) {
                return count < 5;
              }

              @Override
              public Drives drives() {
                return drives;
              }

              @Override
              public Adapters adapters() {
                return adapters;
              }

              @Override
              public Guest guest() {
                return new Guest(() -> Optional.ofNullable(services));
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

  @Test
  void nicsAreShownAddedChangedAndRemoved() throws Exception {
    adapters.open(NetworkSettings.NONE);
    assertThat(ask("nic-list")).isEqualTo("ok\n");
    assertThat(ask("nic-add", "nat,mac=00:15:5d:01:02:03,net=10.9.0.0/24")).isEqualTo("ok 0\n");
    assertThat(ask("nic-set", "0", "vlan=7", "link=down")).isEqualTo("ok\n");
    var line = ask("nic-list").lines().toList().get(1);
    assertThat(ControlWords.decode(line))
        .startsWith(
            "0",
            "nat,net=10.9.0.0/24,mac=00:15:5d:01:02:03,vlan=7,link=down",
            "00:15:5d:01:02:03",
            "00:15:5d:01:02:03",
            "0");
    var switches = SwitchWords.decode(ask("switch-list").lines().skip(1).toList());
    assertThat(switches).hasSize(1);
    assertThat(switches.getFirst().ports()).hasSize(2);
    assertThat(ask("nic-set", "0", "colour=red")).startsWith("error ").contains("colour=red");
    assertThat(ask("nic-set", "7", "vlan=7")).startsWith("error ");
    assertThat(ask("nic-remove", "x")).startsWith("error ");
    assertThat(ask("nic-remove", "0")).isEqualTo("ok\n");
    assertThat(ask("switch-list")).isEqualTo("ok\n");
    assertThat(ask("capture", "64")).startsWith("error ");
  }

  @Test
  void aCaptureEndsWhenItsClientHasEnough() throws Exception {
    adapters.open(new NetworkSettings(List.of(AdapterSettings.standard()), List.of()));
    try (var client = new ControlClient(path, "capture 64 nic0")) {
      assertThat(client.firstLine()).isEqualTo("ok");
      client.endOutput();
      // The section's header block (draft-ietf-opsawg-pcapng, 4.1), and so on to the end.
      assertThat(client.input().readAllBytes()).startsWith(0x0A, 0x0D, 0x0D, 0x0A);
    }
  }

  @AfterEach
  void close() throws Exception {
    adapters.close();
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
  void resetResets() throws Exception {
    try (var client = new ControlClient(path, "reset")) {
      assertThat(client.answer()).isEqualTo("ok\n");
    }
    assertThat(resets).hasValue(1);
    try (var client = new ControlClient(path, "await-reset 4")) {
      assertThat(client.answer()).isEqualTo("ok\n");
    }
    try (var client = new ControlClient(path, "await-reset 5")) {
      assertThat(client.answer()).startsWith("error ");
    }
  }

  private String ask(String... words) throws Exception {
    try (var client = new ControlClient(path, ControlWords.encode(words))) {
      return client.answer();
    }
  }

  @Test
  void guestThatIsNotThereCannotBeAsked() throws Exception {
    assertThat(ask("guest-info"))
        .isEqualTo("error 0x8007048F its service for that is not running\n");
    services = new GuestServices("test", new ManualTimeSource(0), () -> 0);
    assertThat(ask("guest-info"))
        .startsWith("ok\nheartbeat no-contact\nshutdown no\nexchange no\nbackup no\ncopy no\n")
        .contains("\nkeyboard no\n", "\nno-facts ");
    for (var request :
        new String[][] {
          {"guest-get", "guest", "a key"},
          {"guest-set", "external", "a key", ""},
          {"guest-delete", "auto-external", "a key"},
          {"guest-list", "guest"},
          {"guest-addresses", "00:15:5D:01:02:03"},
          {"guest-freeze", "60"},
          {"guest-shutdown", "ask"},
          {"guest-restart", "force"},
          {"guest-copy", "/root/file", "5", "keep", "there"},
          {"keys", "ctrl-alt-del"},
          {"type", "hello"}
        }) {
      assertThat(ask(request)).as(request[0]).startsWith("error 0x8007048F ");
    }
    assertThat(ask("guest-thaw")).isEqualTo("ok no\n");
  }

  @Test
  void requestsThatMakeNoSenseAreRefusedInWords() throws Exception {
    services = new GuestServices("test", new ManualTimeSource(0), () -> 0);
    assertThat(ask("keys", "ctrl-alt-none"))
        .isEqualTo("error no key \"none\" in \"ctrl-alt-none\"\n");
    assertThat(ask("type", "\u00e4")).isEqualTo("error no key of a US keyboard gives U+00E4\n");
    assertThat(ask("guest-get", "nowhere", "key")).startsWith("error ");
    assertThat(ask("guest-get", "guest", "")).startsWith("error a key has ");
    assertThat(ask("guest-get", "guest")).startsWith("error request of 2 words");
    assertThat(ask("guest-set", "external", "k", "x".repeat(1024)))
        .startsWith("error a value has ");
    assertThat(ask("guest-freeze", "-1")).startsWith("error ");
    assertThat(ask("guest-copy", "relative", "5", "keep", "there")).startsWith("error ");
    assertThat(ask("guest-copy", "/root/", "5", "keep", "there")).startsWith("error ");
    try (var client = new ControlClient(path, "guest-get guest %zz")) {
      assertThat(client.answer()).startsWith("error ");
    }
    try (var client = new ControlClient(path, "guest-what")) {
      assertThat(client.answer()).startsWith("error unknown");
    }
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
    try (var client = new ControlClient(path, "x".repeat(20_000))) {
      assertThat(client.firstLine()).startsWith("error ");
    }
    try (var client = new ControlClient(path, "status")) {
      assertThat(client.answer()).isEqualTo("name=test\n");
    }
  }
}

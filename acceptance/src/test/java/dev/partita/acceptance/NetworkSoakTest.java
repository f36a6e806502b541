package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

/// Whether a Debian's network holds for long: a GiB with its checksum, many streams at once, cables
/// pulled and cards added and removed in the middle of them, the driver unloaded and loaded a
/// hundred times, new leases; and whether the partition's process is afterwards what it was before.
/// Only by `./partita soak network`.
@EnabledIfSystemProperty(named = "partita.soak.network", matches = "[0-9]+")
class NetworkSoakTest {
  private static final List<String> PACKAGES = List.of("curl", "ethtool");
  private static final int LOGIN_SECONDS = 1200;
  private static final int STEP_SECONDS = 3600;
  private static final String PROMPT = "%>%";
  private static final long GIB = 1L << 30;
  private static final int STREAMS = 16;
  private static final long STREAM = 16L << 20;

  /// The switch's and the guest's timers are over, and the host's closed sockets gone.
  private static final int REST_SECONDS = 300;

  /// The JVM starts compilers and carriers of virtual threads as it needs them.
  private static final int THREADS_OF_THE_JVM = 4;

  /// Objects that may be there by chance of the moment.
  private static final long OBJECTS_BY_CHANCE = 2000;

  private static final String WRONG =
      "sudo dmesg | grep -iE '(hv_netvsc|hv_vmbus|eth[0-9]).*(fail|error|unable|unhandled|unexpected"
          + "|invalid|timed? ?out)|BUG:|call trace|soft lockup' | wc -l";

  @TempDir Path folder;

  private static void say(String text) {
    System.err.println("partita soak: " + text);
  }

  // --- the host's side ---

  /// As many octets as are asked for, the same each time.
  private static void write(OutputStream out, long count) throws IOException {
    var block = new byte[1 << 16];
    new Random(11).nextBytes(block);
    for (long done = 0; done < count; done += block.length) {
      for (int i = 0; i < Long.BYTES; i++) {
        block[i] = (byte) (done >> 8 * i);
      }
      out.write(block, 0, (int) Math.min(block.length, count - done));
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String digest(long count) throws IOException {
    var digest = sha256();
    write(new DigestOutputStream(OutputStream.nullOutputStream(), digest), count);
    return HexFormat.of().formatHex(digest.digest());
  }

  /// Requests so far.
  private static final AtomicInteger REQUESTS = new AtomicInteger();

  /// `GET /COUNT` gives octets, `PUT` answers with the checksum of what it got.
  private static void serve(HttpExchange exchange) throws IOException {
    REQUESTS.incrementAndGet();
    try (exchange) {
      if (exchange.getRequestMethod().equals("PUT")) {
        var digest = sha256();
        exchange
            .getRequestBody()
            .transferTo(new DigestOutputStream(OutputStream.nullOutputStream(), digest));
        var answer =
            (HexFormat.of().formatHex(digest.digest()) + "\n").getBytes(StandardCharsets.US_ASCII);
        exchange.sendResponseHeaders(200, answer.length);
        exchange.getResponseBody().write(answer);
      } else {
        long count = Long.parseLong(exchange.getRequestURI().getPath().substring(1));
        exchange.sendResponseHeaders(200, count);
        write(exchange.getResponseBody(), count);
      }
    }
  }

  private void succeed(String... arguments) throws Exception {
    try (var partita = PartitaProcess.start(folder, arguments)) {
      assertThat(partita.exitCode(STEP_SECONDS)).as("%s", partita).isZero();
    }
  }

  // --- what the process has ---

  /// @param objects of the network's and the bus's classes
  private record Possession(long threads, long sockets, long objects) {
    @Override
    public String toString() {
      return "%d threads, %d sockets, %d objects of the network's"
          .formatted(threads, sockets, objects);
    }
  }

  private static long count(Path files, Predicate<Path> wanted) throws IOException {
    try (var list = Files.list(files)) {
      return list.filter(wanted).count();
    }
  }

  private static boolean isSocket(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString().startsWith("socket:");
    } catch (IOException e) {
      return false; // closed meanwhile
    }
  }

  private static boolean isCompiler(Path task) {
    try {
      return Files.readString(task.resolve("comm")).matches("C[12] Comp.*\n");
    } catch (IOException e) {
      return true; // ended meanwhile
    }
  }

  private static Possession possession(long pid) throws IOException, InterruptedException {
    var jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    var process = new ProcessBuilder(jcmd, Long.toString(pid), "GC.class_histogram").start();
    long objects = 0;
    for (var line : process.inputReader().lines().toList()) {
      // Number, instances, bytes, class; the collector has run before.
      var words = line.strip().split(" +");
      if (words.length >= 4
          && words[3].matches("dev\\.partita\\.(network|vmbus|synthetic\\.network)\\..*")) {
        objects += Long.parseLong(words[1]);
      }
    }
    assertThat(process.waitFor()).as("jcmd").isZero();
    var proc = Path.of("/proc", Long.toString(pid));
    return new Possession(
        count(proc.resolve("task"), task -> !isCompiler(task)),
        count(proc.resolve("fd"), NetworkSoakTest::isSocket),
        objects);
  }

  private static boolean isAsBefore(Possession before, Possession now) {
    return now.threads <= before.threads + THREADS_OF_THE_JVM
        && now.sockets <= before.sockets
        && now.objects <= before.objects + OBJECTS_BY_CHANCE;
  }

  // --- the guest's side ---

  private Path base() throws Exception {
    var disk = PartitaProcess.launcher().resolveSibling(".partita").resolve("soak-network.vhdx");
    if (!Files.exists(disk)) {
      say("making a Debian disk with " + PACKAGES);
      var command = new ArrayList<>(List.of("image", "build", "debian", "-o", disk.toString()));
      PACKAGES.forEach(name -> command.addAll(List.of("--package", name)));
      succeed(command.toArray(String[]::new));
    }
    return disk;
  }

  private static void type(PartitaProcess guest, String command) throws IOException {
    guest.type(command + "\n");
  }

  /// Runs a line of shell.
  ///
  /// @return what it printed, without the line itself: a line feed and the rest
  private static String run(PartitaProcess guest, String command) throws Exception {
    int before = guest.out().length();
    type(guest, command);
    guest.expect(PROMPT, STEP_SECONDS);
    var text = guest.out().substring(before).replace("\r", "");
    return text.substring(text.indexOf('\n'));
  }

  /// Runs a line of shell whose output must have something in it.
  private static void step(PartitaProcess guest, String what, String command, String expected)
      throws Exception {
    long start = System.nanoTime();
    var output = run(guest, command);
    assertThat(output).as("%s%n%s", what, guest).contains(expected);
    say("%s: right, %.0f s".formatted(what, (System.nanoTime() - start) / 1e9));
  }

  private static final String ONLINE =
      "until ping -c 1 -W 1 10.0.2.1 >/dev/null 2>&1; do sleep 0.2; done; ";

  @Test
  void aGuestsNetworkHoldsAndLeavesNothingBehind() throws Exception {
    int reloads = Integer.getInteger("partita.soak.network", 100);
    var disk = folder.resolve("run.vhdx");
    succeed("disk", "create", "--parent", base().toString(), disk.toString());
    var server =
        HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 256);
    server.createContext("/", NetworkSoakTest::serve);
    var executor = Executors.newVirtualThreadPerTaskExecutor();
    server.setExecutor(executor);
    server.start();
    try (var guest =
        PartitaProcess.start(
            folder,
            "run",
            "--disk",
            disk.toString(),
            "--name",
            "soak",
            "--cpus",
            "2",
            "--memory",
            "1G",
            "--network",
            "nat,allow-host,net=10.0.2.0/24,mac=00:15:5d:00:00:01")) {
      guest.expect("login: ", LOGIN_SECONDS);
      type(guest, "partita");
      guest.expect("$ ", LOGIN_SECONDS);
      type(guest, "PS1=%'>'%; TERM=dumb; bind 'set enable-bracketed-paste off'");
      guest.expect(PROMPT, LOGIN_SECONDS);
      run(guest, "url=http://10.0.2.1:" + server.getAddress().getPort() + "; set +m");
      traffic(guest, reloads);
      step(guest, "complaints of the kernel", WRONG, "\n0\n");
      type(guest, "sudo poweroff");
      assertThat(guest.exitCode(LOGIN_SECONDS)).as("%s", guest).isZero();
    } finally {
      server.stop(0);
      executor.close();
    }
    PartitaProcess.assertNothingLeft(folder);
  }

  private void traffic(PartitaProcess guest, int reloads) throws Exception {
    long pid = guest.process().pid();
    // What is made once is there after this.
    streams(guest);
    reload(guest, 2);
    var before = possession(pid);
    say("before: " + before);

    step(guest, "a GiB with its checksum", "curl -s $url/" + GIB + " | sha256sum", digest(GIB));
    streams(guest);
    step(guest, "new leases", renew(10), "renewed-" + 10);
    var half = GIB / 2;
    disturbed(
        guest,
        "pulled cables in half a GiB",
        half,
        () -> {
          succeed("nic", "link", "-p", "soak", "0", "down");
          succeed("nic", "link", "-p", "soak", "0", "up");
        });
    disturbed(
        guest,
        "cards added and removed in half a GiB",
        half,
        () -> {
          succeed("nic", "add", "-p", "soak", "--network", "private:soak");
          // Taken away while its driver looks for it, it would be a complaint of the kernel.
          for (int i = 0; i < STEP_SECONDS && !isOpen("1"); i++) {
            Thread.sleep(1000);
          }
          succeed("nic", "remove", "-p", "soak", "1");
        });
    reload(guest, reloads);
    step(
        guest,
        "the queues changed under load",
        "curl -s $url/%d | sha256sum >sum & for i in $(seq 10); do sudo ethtool -L eth0 combined $((i %% 2 + 1)); done; wait; cat sum"
            .formatted(STREAM),
        digest(STREAM));

    var after = possession(pid);
    for (int i = 0; i < REST_SECONDS && !isAsBefore(before, after); i++) {
      Thread.sleep(1000);
      after = possession(pid);
    }
    say("after: " + after);
    assertThat(isAsBefore(before, after)).as("before: %s; after: %s", before, after).isTrue();
  }

  /// Whether the guest's driver has a card's channel open.
  private boolean isOpen(String card) throws Exception {
    try (var list = PartitaProcess.start(folder, "nic", "list", "--raw", "soak")) {
      assertThat(list.exitCode(STEP_SECONDS)).as("%s", list).isZero();
      return list.out()
          .lines()
          .map(line -> line.split("\t"))
          .anyMatch(fields -> fields[0].equals(card) && !fields[4].equals("0"));
    }
  }

  private static void streams(PartitaProcess guest) throws Exception {
    step(
        guest,
        STREAMS + " streams to the guest",
        ONLINE
            + "for i in $(seq %d); do curl -s $url/%d | sha256sum >s$i & done; wait; cat s* | sort -u; rm s*"
                .formatted(STREAMS, STREAM),
        digest(STREAM) + "  -\n" + PROMPT);
    step(
        guest,
        STREAMS + " streams to the host",
        "head -c %d /dev/urandom >f; (sha256sum <f | cut -d' ' -f1; for i in $(seq %d); do curl -s -T f $url/ & done; wait) | sort | uniq -c | awk '{print \"times-\" $1}'; rm f"
            .formatted(STREAM, STREAMS),
        "times-" + (STREAMS + 1) + "\n" + PROMPT);
  }

  private static void reload(PartitaProcess guest, int times) throws Exception {
    step(
        guest,
        "the driver unloaded and loaded %d times".formatted(times),
        "for i in $(seq %d); do sudo modprobe -r hv_netvsc && sudo modprobe hv_netvsc || break; %s done; echo reloaded-$i"
            .formatted(times, ONLINE),
        "reloaded-" + times + "\n");
  }

  private static String renew(int times) {
    return "for i in $(seq %d); do sudo networkctl renew eth0; %s done; ip -4 addr show dev eth0 | grep -q 10.0.2. && echo renewed-$i"
        .formatted(times, ONLINE);
  }

  private interface Disturbance {
    void run() throws Exception;
  }

  /// Does something again and again until a download is through.
  private static void disturbed(
      PartitaProcess guest, String what, long octets, Disturbance disturbance) throws Exception {
    int requests = REQUESTS.get();
    type(guest, "curl -s $url/%d | sha256sum; echo through-''now".formatted(octets));
    int before = guest.out().length();
    int times = 0;
    // In the middle of it: a guest whose cable is out has no way to connect.
    for (int i = 0; i < STEP_SECONDS && REQUESTS.get() == requests; i++) {
      Thread.sleep(1000);
    }
    while (!guest.out().substring(before).contains("through-now")) {
      disturbance.run();
      times++;
      // The guest acts on it, asks for its address again, and the download goes on for a while.
      Thread.sleep(10_000);
      assertThat(times).as("%s", guest).isLessThan(STEP_SECONDS / 2);
    }
    guest.expect(PROMPT, STEP_SECONDS);
    assertThat(guest.out().substring(before)).as("%s%n%s", what, guest).contains(digest(octets));
    say("%s: right, %d times".formatted(what, times));
  }
}

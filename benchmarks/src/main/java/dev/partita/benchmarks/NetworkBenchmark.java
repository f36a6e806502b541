package dev.partita.benchmarks;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// Runs iperf3 in a Debian guest through the synthetic NIC and the NAT under Partita, and in the
/// same guest with the same kernel under QEMU's TCG with virtio-net and user-mode networking; then
/// between two guests, over a shared private switch and over QEMU's socket network.
///
/// The script is the kernel's `init`, from a disk of its own: nothing else runs in the guest. What
/// the receiving iperf3 says counts, by its own clock.
///
/// Partita's results as parts of QEMU's, one run on a machine of 2 cores without other work: to the
/// host 2.85, 2.46 and 2.41 (1, 4, 16 streams), from it 1.44, 1.78, 1.44, UDP to the host 0.62 and
/// from it 0.99, round trip 2.46 (more is worse), between guests 0.86 and 0.68.
@Command(
    name = "network",
    description = {
      "Runs iperf3 in a Debian guest: to the host and back with 1, 4 and 16 streams, UDP at a fixed"
          + " rate, between two guests, and asks and answers over one connection; through the"
          + " synthetic NIC and the NAT under Partita, and with virtio-net and user-mode networking"
          + " under QEMU TCG, in turn. Needs iperf3. The first time it makes the guest's disk from"
          + " Debian's packages."
    },
    mixinStandardHelpOptions = true)
final class NetworkBenchmark implements Callable<Integer> {
  private static final int ROUND_TRIPS = 500;

  private static final Pattern RESULT = Pattern.compile("net ([a-z0-9-]+) ([0-9.]+)\\s*");

  /// Microseconds: the smaller number is the better one.
  private static final String ROUND_TRIP = "round-trip";

  /// After the name of a job with datagrams: how many of them did not arrive, in percent. A sender
  /// that is too slow for its rate loses none.
  private static final String LOST = "-lost";

  @Mixin private final GuestOptions options = new GuestOptions();

  @Option(
      names = {"-n", "--runs"},
      defaultValue = "1",
      description = "Guests of each; the median counts (default: ${DEFAULT-VALUE}).")
  private int runs;

  @Option(
      names = "--seconds",
      defaultValue = "5",
      description = "How long each job runs (default: ${DEFAULT-VALUE}).")
  private int seconds;

  @Option(
      names = {"-c", "--cpus"},
      defaultValue = "1",
      description = "Virtual processors (default: ${DEFAULT-VALUE}).")
  private int processors;

  /// @param name as it is shown
  /// @param options of the client
  private record Job(String name, String options) {
    boolean isUdp() {
      return options.contains("-u");
    }
  }

  private enum Contender {
    PARTITA,
    QEMU
  }

  private List<Job> hostJobs() {
    return List.of(
        new Job("to-host-1", ""),
        new Job("to-host-4", "-P 4"),
        new Job("to-host-16", "-P 16"),
        new Job("from-host-1", "-R"),
        new Job("from-host-4", "-R -P 4"),
        new Job("from-host-16", "-R -P 16"),
        new Job("udp-to-host", "-u -b 100M -l 1400"),
        new Job("udp-from-host", "-R -u -b 100M -l 1400"));
  }

  private static List<Job> guestJobs() {
    return List.of(new Job("guest-guest-1", ""), new Job("guest-guest-4", "-P 4"));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    var launcher = SideBySide.launcher("network");
    options.requirePrograms();
    SideBySide.require("iperf3", "iperf3", "");
    var contenders =
        Stream.of(Contender.values())
            .filter(each -> each == Contender.QEMU ? options.qemu() : options.partita())
            .toList();
    try (var disk = BenchmarkDisk.prepare("network", List.of("iperf3", "ethtool"));
        var echo = new EchoServer()) {
      disk.raw(disk.vhdx());
      int port = freePort();
      var all = new LinkedHashMap<Contender, Map<String, List<Double>>>();
      try (var _ = SideBySide.start(List.of("iperf3", "-s", "-B", "127.0.0.1", "-p", "" + port))) {
        for (int i = 0; i < runs; i++) {
          for (var contender : contenders) {
            System.err.println(contender + " ...");
            var mine = all.computeIfAbsent(contender, _ -> new LinkedHashMap<>());
            add(mine, toHost(contender, launcher, disk, port, echo.port()));
            add(mine, betweenGuests(contender, launcher, disk));
          }
        }
      }
      report(all);
    }
    return 0;
  }

  private static int freePort() throws IOException {
    try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static void add(Map<String, List<Double>> all, Map<String, Double> one) {
    one.forEach((name, result) -> all.computeIfAbsent(name, _ -> new ArrayList<>()).add(result));
  }

  // --- the guests ---

  /// The guest's network, by hand: a DHCP client would be one more program to wait for.
  private static String begin(String address) {
    return """
        mount -t tmpfs tmpfs /run
        mount -t tmpfs tmpfs /tmp
        modprobe -q hv_netvsc || modprobe -q virtio_net
        until set -- /sys/class/net/[!l]*; [ -e $1 ]; do sleep 0.1; done
        card=${1##*/}
        ip link set lo up
        ip addr add %s/24 dev $card
        ip link set $card up
        until [ $(cat /sys/class/net/$card/carrier) = 1 ]; do sleep 0.1; done
        """
        .formatted(address);
  }

  /// Runs iperf3 until it has reached its server, and prints the receiver's rate in Mbit/s.
  private String client(String server, int port, Job job) {
    return """
        tries=0
        until out=$(iperf3 -c %1$s -p %2$d -t %3$d -f m %4$s); do
          tries=$((tries + 1)); [ $tries = 60 ] && break; sleep 0.2
        done
        echo net %5$s $(echo "$out" | grep receiver | tail -n 1 | sed 's,.* \\([0-9.]*\\) Mbits/sec.*,\\1,')
        """
            .formatted(server, port, seconds, job.options, job.name)
        + (job.isUdp()
            ? "echo net %s%s $(echo \"$out\" | grep receiver | sed 's,.*(\\([0-9.]*\\)%%).*,\\1,')\n"
                .formatted(job.name, LOST)
            : "");
  }

  private Map<String, Double> toHost(
      Contender contender, String launcher, BenchmarkDisk disk, int port, int echoPort)
      throws IOException, InterruptedException {
    boolean partita = contender == Contender.PARTITA;
    var gateway = partita ? "10.0.2.1" : "10.0.2.2";
    var script = new StringBuilder(begin("10.0.2.15"));
    hostJobs().forEach(job -> script.append(client(gateway, port, job)));
    script
        .append(
            "bash -c 'exec 3<>/dev/tcp/%s/%d; a=${EPOCHREALTIME/./}\n".formatted(gateway, echoPort))
        .append(
            "for ((i = 0; i < %d; i++)); do echo x >&3; read -r y <&3; done\n"
                .formatted(ROUND_TRIPS))
        .append(
            "b=${EPOCHREALTIME/./}; echo net %s $(((b - a) / %d))'\n"
                .formatted(ROUND_TRIP, ROUND_TRIPS))
        .append("poweroff -ff\n");
    var file = disk.script(script.toString());
    var network = partita ? "nat,allow-host,net=10.0.2.0/24" : "user";
    var output =
        SideBySide.run(
            command(contender, launcher, disk, "host", file.toString(), network), options.limit);
    int lossRates = (int) hostJobs().stream().filter(Job::isUdp).count();
    return results(contender, output, hostJobs().size() + lossRates + 1);
  }

  private Map<String, Double> betweenGuests(
      Contender contender, String launcher, BenchmarkDisk disk)
      throws IOException, InterruptedException {
    var server = new StringBuilder(begin("10.9.0.1"));
    server.append("iperf3 -s -1 >/dev/null\n".repeat(guestJobs().size())).append("poweroff -ff\n");
    var client = new StringBuilder(begin("10.9.0.2"));
    guestJobs().forEach(job -> client.append(client("10.9.0.1", 5201, job)));
    client.append("poweroff -ff\n");
    var serverFile = disk.script(server.toString()).toString();
    var clientFile = disk.script(client.toString()).toString();
    boolean partita = contender == Contender.PARTITA;
    int port = freePort();
    var lan = "private:bench-" + ProcessHandle.current().pid();
    var listening =
        command(
            contender,
            launcher,
            disk,
            "server",
            serverFile,
            partita ? lan : "socket,listen=127.0.0.1:" + port);
    var connecting =
        command(
            contender,
            launcher,
            disk,
            "client",
            clientFile,
            partita ? lan : "socket,connect=127.0.0.1:" + port);
    try (var first = SideBySide.start(listening)) {
      if (!partita) {
        Thread.sleep(1000); // QEMU does not try again
      }
      var output = SideBySide.run(connecting, options.limit);
      var results = results(contender, output, guestJobs().size());
      first.await(options.limit);
      return results;
    }
  }

  private List<String> command(
      Contender contender,
      String launcher,
      BenchmarkDisk disk,
      String name,
      String script,
      String network)
      throws IOException {
    boolean partita = contender == Contender.PARTITA;
    // The arguments after -- are init's.
    var guest =
        new SideBySide.Guest(
            disk.kernel(),
            disk.initrd(),
            disk.commandLine()
                + SideBySide.COMMON_PARAMETERS
                + " panic=-1 init=/bin/sh -- -c \". "
                + (partita ? "/dev/disk/by-path/*lun-1" : "/dev/vdb")
                + "\"",
            options.memory,
            processors);
    return partita
        ? SideBySide.partita(
            launcher,
            guest,
            "--disk",
            disk.child(name + ".vhdx", disk.vhdx()).toString(),
            "--disk",
            script + ",readonly",
            "--network",
            network)
        : SideBySide.qemu(
            guest,
            "-drive",
            "if=virtio,format=raw,snapshot=on,file=" + disk.raw(),
            "-drive",
            "if=virtio,format=raw,readonly=on,file=" + script,
            "-netdev",
            network.replaceFirst(",|$", ",id=n,").replaceFirst(",$", ""),
            "-device",
            "virtio-net-pci,netdev=n,romfile=,mac=52:54:00:00:00:0" + (name.length() % 10));
  }

  private static Map<String, Double> results(
      Contender contender, SideBySide.Output output, int wanted) throws IOException {
    var results = new LinkedHashMap<String, Double>();
    for (var line : output.out().lines().toList()) {
      var match = RESULT.matcher(line);
      if (match.matches()) {
        results.put(match.group(1), Double.valueOf(match.group(2)));
      }
    }
    if (results.size() != wanted) {
      throw new IOException(
          "%s: %d of %d results, exit code %d; it says: %s; its console ends with: %s"
              .formatted(
                  contender,
                  results.size(),
                  wanted,
                  output.exitCode(),
                  output.errors().strip(),
                  output.lastWords()));
    }
    return results;
  }

  private void report(Map<Contender, Map<String, List<Double>>> all) {
    System.out.printf(
        "iperf3 in the guest, %d processor(s), %d MiB, %d s a job: Mbit/s received; UDP is sent with"
            + " 100 Mbit/s, or as much of it as the sender can; %s: percent of what it sent; %s:"
            + " microseconds for a question and its answer over TCP%n",
        processors, options.memory, seconds, LOST.substring(1), ROUND_TRIP);
    System.out.printf("%-18s %10s %10s %16s%n", "", "Partita", "QEMU", "Partita / QEMU");
    var names =
        Stream.of(
                hostJobs().stream()
                    .flatMap(
                        job ->
                            job.isUdp()
                                ? Stream.of(job.name, job.name + LOST)
                                : Stream.of(job.name)),
                Stream.of(ROUND_TRIP),
                guestJobs().stream().map(Job::name))
            .flatMap(each -> each)
            .toList();
    for (var name : names) {
      double partita = median(all, Contender.PARTITA, name);
      double qemu = median(all, Contender.QEMU, name);
      System.out.printf(
          "%-18s %10s %10s %16s%n",
          name,
          all.containsKey(Contender.PARTITA) ? "%.1f".formatted(partita) : "-",
          all.containsKey(Contender.QEMU) ? "%.1f".formatted(qemu) : "-",
          partita > 0 && qemu > 0 ? "%.2f".formatted(partita / qemu) : "-");
    }
  }

  private static double median(
      Map<Contender, Map<String, List<Double>>> all, Contender contender, String name) {
    return SideBySide.median(
        all.getOrDefault(contender, Map.of()).getOrDefault(name, List.of()).stream()
            .mapToDouble(Double::doubleValue)
            .toArray());
  }

  /// Gives back what it gets, at once.
  private static final class EchoServer implements AutoCloseable {
    private final ServerSocket server;

    EchoServer() throws IOException {
      server = new ServerSocket(0, 8, InetAddress.getLoopbackAddress());
      Thread.ofVirtual().start(this::accept);
    }

    int port() {
      return server.getLocalPort();
    }

    private void accept() {
      while (!server.isClosed()) {
        try {
          var client = server.accept();
          client.setTcpNoDelay(true);
          Thread.ofVirtual()
              .start(
                  () -> {
                    try (client) {
                      client.getInputStream().transferTo(client.getOutputStream());
                    } catch (IOException e) {
                      // The guest has gone.
                    }
                  });
        } catch (IOException e) {
          return;
        }
      }
    }

    @Override
    public void close() throws IOException {
      server.close();
    }
  }
}

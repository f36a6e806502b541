package dev.partita.cli;

import dev.partita.hypervisor.SystemTimeSource;
import dev.partita.image.SystemDisk;
import dev.partita.network.nat.Publication;
import dev.partita.worker.AdapterSettings;
import dev.partita.worker.Attachment;
import dev.partita.worker.Console;
import dev.partita.worker.DriveSettings;
import dev.partita.worker.Engines;
import dev.partita.worker.NetworkSettings;
import dev.partita.worker.Outcome;
import dev.partita.worker.Outcome.StopReason;
import dev.partita.worker.PartitionSettings;
import dev.partita.worker.Worker;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/// Runs a partition in this process, with its console on the standard streams.
@Command(
    name = "run",
    description = {
      "Runs a guest, with its serial console on standard input and output.",
      "",
      "With SYSTEM it is made from the distribution's packages the first time. With --disk the kernel"
          + " in the first disk's own file system is booted; with --kernel it is yours.",
      "",
      "  partita run debian                    a Debian that keeps what it writes",
      "  partita run --disk cloud-image.vhdx   your own disk",
      "  partita run debian-initramfs          only a kernel and a shell, in memory",
      "  partita run debian --publish 2222:22  ssh -p 2222 partita@localhost reaches it",
      "",
      "The end of standard input does not end the guest."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false,
    footerHeading = "%n",
    footer = {
      "@|bold Keys|@, when standard input and output are a terminal:",
      "  Ctrl-A x   stop the partition",
      "  Ctrl-A d   detach: it goes on in the background; partita attach takes it again",
      "  Ctrl-A a   send Ctrl-A to the guest",
      "  Ctrl-A h   show these keys",
      "",
      "@|bold Exit codes|@:",
      "  0     the guest powered off",
      "  1     a defect of Partita",
      "  2     wrong command line",
      "  3     refused: missing or unusable file, too little memory, ...",
      "  4     the guest crashed: triple fault, panic, unsupported instruction",
      "  5     the guest rebooted, with --no-reboot",
      "  6     stopped by the operator: Ctrl-A x or partita stop",
      "  69    the launcher found no JDK 25, or no Maven",
      "  70    the launcher could not build Partita",
      "  124   the time of --timeout was over",
      "  129, 130, 143   ended by SIGHUP, SIGINT or SIGTERM",
      "  141   whoever read standard output went away"
    })
final class RunCommand implements Callable<Integer> {
  /// How long output may take to leave when the partition has ended.
  private static final Duration DRAIN = Duration.ofSeconds(2);

  @Parameters(
      arity = "0..1",
      paramLabel = "SYSTEM",
      description = "A system that Partita makes itself: ${COMPLETION-CANDIDATES}.",
      completionCandidates = GuestSystem.Names.class)
  private @Nullable String system;

  @Option(names = "--kernel", paramLabel = "FILE", description = "Kernel: a bzImage or ELF file.")
  private @Nullable Path kernel;

  @Option(names = "--initrd", paramLabel = "FILE", description = "Initial RAM disk.")
  private @Nullable Path initrd;

  @Option(
      names = "--append",
      paramLabel = "STRING",
      description =
          "Kernel command line; with SYSTEM or the kernel of a disk, added to its own. With --kernel"
              + " the default is \"console=ttyS0\".")
  private @Nullable String append;

  @Option(
      names = "--disk",
      paramLabel = "FILE[,OPTION...]",
      converter = DriveOption.Disk.class,
      description =
          "A disk: VHDX, VHD or raw, as the name tells. Repeatable. Options: readonly,"
              + " format=FORMAT, lun=NUMBER. Without SYSTEM and --kernel the first one's own kernel is"
              + " booted.")
  private List<DriveSettings> disks = List.of();

  @Option(
      names = "--fresh",
      description = "With debian: delete what earlier runs have written, and begin anew.")
  private boolean fresh;

  @Option(
      names = "--temporary",
      description =
          "With debian: a guest of its own that keeps nothing, also while another one runs.")
  private boolean temporary;

  @Option(
      names = "--dvd",
      paramLabel = "FILE[,lun=NUMBER]",
      converter = DriveOption.Dvd.class,
      description = "A DVD drive with this ISO image; \"none\": empty. Repeatable.")
  private List<DriveSettings> dvds = List.of();

  @Option(
      names = "--network",
      paramLabel = "NETWORK[,OPTION...]",
      converter = NetworkOption.Adapter.class,
      description = {
        "A network card, and what it is plugged into (default: nat). Repeatable.",
        "  nat: by way of this program, without rights;",
        "  private:NAME: a switch that your partitions share;",
        "  internal:NAME: the same, with a NAT for all of them;",
        "  tap:DEVICE: a TAP device, bridge=BRIDGE joins it;",
        "  link:SOCKET, udp:LOCAL:PORT:REMOTE:PORT: to others;",
        "  none.",
        "Options: mac=ADDRESS, mtu=OCTETS, vlan=NUMBER, link=down, limit=RATE, spoofing, dhcp-guard,"
            + " router-guard, mirror=source|destination, allow=RULE, deny=RULE (partita nic set --help);"
            + " with nat: allow-host (the guest reaches the"
            + " host's 127.0.0.1 at the gateway's address), net=ADDRESS/BITS."
      })
  private List<Optional<AdapterSettings>> networks =
      List.of(Optional.of(AdapterSettings.standard()));

  @Option(
      names = "--publish",
      paramLabel = "[ADDRESS:]HOST:GUEST[/udp]",
      converter = NetworkOption.Port.class,
      description =
          "A port of the host that leads to one of the guest's: 2222:22 from this host alone,"
              + " 0.0.0.0:8080:80 from its network too. Repeatable.")
  private List<Publication> publications = List.of();

  @Option(
      names = {"-m", "--memory"},
      paramLabel = "SIZE",
      defaultValue = "512M",
      converter = Quantities.Memory.class,
      description = "RAM, such as 512M or 2G (default: ${DEFAULT-VALUE}).")
  private long memory;

  @Option(
      names = {"-c", "--cpus"},
      paramLabel = "COUNT",
      defaultValue = "1",
      description = "Virtual processors, 1 to 254 (default: ${DEFAULT-VALUE}).")
  private int processors;

  @Option(
      names = "--engine",
      paramLabel = "NAME",
      defaultValue = "auto",
      completionCandidates = EngineNames.class,
      description =
          "What runs the guest's code: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private String engine = "auto";

  @Option(
      names = "--tier",
      paramLabel = "TIER",
      description =
          "How the software engine executes: ${COMPLETION-CANDIDATES} (default: mixed, that is"
              + " interpreted, and translated when hot). To look for defects.")
  private @Nullable Tier tier;

  @Option(
      names = "--perf-map",
      description =
          "Keep /tmp/perf-PID.map, by which perf names the code of the software engine, with the"
              + " guest's RIP.")
  private boolean perfMap;

  @Option(
      names = "--name",
      paramLabel = "NAME",
      description = "What list, attach and stop call it (default: SYSTEM or file, and process id).")
  private @Nullable String name;

  @Option(names = "--no-reboot", description = "End when the guest reboots.")
  private boolean noReboot;

  @Option(
      names = "--timeout",
      paramLabel = "TIME",
      converter = Quantities.Time.class,
      description = "End the partition after this time, such as 30s or 5m.")
  private @Nullable Duration timeout;

  @Option(names = "--stats", description = "At the end, write what it cost to standard error.")
  private boolean stats;

  /// What the software engine calls its tiers.
  enum Tier {
    INTERPRETER,
    MIXED,
    TRANSLATOR;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /// For help and completion.
  static final class EngineNames extends ArrayList<String> {
    private static final long serialVersionUID = 1L;

    EngineNames() {
      super(Engines.names());
    }
  }

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException, InterruptedException {
    var network = network();
    chooseTier();
    try (var systemDisk = systemDisk();
        var boot = diskBoot(systemDisk)) {
      var settings = settings(systemDisk, boot).withNetwork(network);
      if (settings.engine().equals(Engines.AUTO)) {
        var choice = Engines.named(Engines.AUTO);
        OperatorLog.say("engine %s: %s".formatted(choice.engine().name(), choice.reason()));
        settings = settings.withEngine(choice.engine().name());
      } else {
        var chosen = settings.engine();
        Engines.caution(chosen)
            .ifPresent(
                reason -> OperatorLog.say("engine %s, as asked: %s".formatted(chosen, reason)));
      }
      try (var time = new SystemTimeSource();
          var console = new Console()) {
        var worker = new Worker(settings, console);
        if (boot != null) {
          worker.beforeRestart(boot.disk(), boot::again);
        }
        return run(settings, console, worker, time);
      }
    }
  }

  private void chooseTier() {
    if (tier == null) {
      return;
    }
    if (engine.equals(Engines.AUTO)) {
      engine = Engines.SOFTWARE_NAME;
    } else if (!engine.equals(Engines.SOFTWARE_NAME)) {
      throw usage("--tier is for the software engine");
    }
    System.setProperty("partita.tier", tier.toString());
  }

  /// The disk of the system that is asked for, if it has one.
  private @Nullable SystemDisk systemDisk() throws IOException {
    if (system == null || GuestSystem.named(system) != GuestSystem.DEBIAN) {
      if (fresh || temporary) {
        throw usage("--fresh and --temporary are for the SYSTEM debian");
      }
      return null;
    }
    if (fresh && temporary) {
      throw usage("--temporary is fresh by itself: give it without --fresh");
    }
    return GuestSystem.debianDisk(
        fresh ? SystemDisk.Use.FRESH : temporary ? SystemDisk.Use.TEMPORARY : SystemDisk.Use.KEPT);
  }

  /// What the first disk boots, when no kernel is given.
  private @Nullable DiskBoot diskBoot(@Nullable SystemDisk systemDisk) throws IOException {
    if (kernel != null) {
      return null;
    }
    if (systemDisk != null) {
      return DiskBoot.from(DriveSettings.disk(systemDisk.file()));
    }
    return system != null || disks.isEmpty() ? null : DiskBoot.from(disks.getFirst());
  }

  private PartitionSettings settings(@Nullable SystemDisk systemDisk, @Nullable DiskBoot boot)
      throws IOException {
    var kernelFile = kernel;
    var initrdFile = initrd;
    var commandLine = append == null ? "console=ttyS0" : append;
    if (boot != null) {
      kernelFile = boot.kernel();
      initrdFile = initrd != null ? initrd : boot.initrd();
      commandLine = append == null ? boot.commandLine() : boot.commandLine() + " " + append;
    } else if (system != null && systemDisk == null) {
      if (kernelFile != null || initrdFile != null) {
        throw usage(system + " is a kernel and initrd: give it without --kernel, --initrd");
      }
      var files = GuestSystem.initramfs();
      kernelFile = files.kernel();
      initrdFile = files.initrd();
      commandLine = append == null ? files.commandLine() : files.commandLine() + " " + append;
    } else if (kernelFile == null) {
      throw usage("Give a SYSTEM such as debian, a --disk, or a --kernel");
    }
    var own = systemDisk == null ? null : DriveSettings.disk(systemDisk.file());
    return new PartitionSettings(
        name != null
            ? name
            : (system != null ? system : "guest") + "-" + ProcessHandle.current().pid(),
        memory,
        processors,
        kernelFile,
        initrdFile,
        commandLine,
        engine,
        !noReboot,
        stats,
        Stream.concat(Stream.ofNullable(own), Stream.concat(disks.stream(), dvds.stream()))
            .toList(),
        NetworkSettings.NONE);
  }

  private NetworkSettings network() {
    var adapters = networks.stream().flatMap(Optional::stream).toList();
    if (adapters.size() < networks.size() && networks.size() > 1) {
      throw usage("--network none stands alone");
    }
    if (!publications.isEmpty()
        && adapters.stream().noneMatch(each -> each.attachment() instanceof Attachment.Nat)) {
      throw usage("--publish goes by way of the NAT: add --network nat");
    }
    return new NetworkSettings(adapters, publications);
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }

  private int run(PartitionSettings settings, Console console, Worker worker, SystemTimeSource time)
      throws IOException, InterruptedException {
    if (timeout != null) {
      time.timer(() -> worker.stop(StopReason.TIMEOUT)).arm(time.nanoTime() + timeout.toNanos());
    }
    var presence = new Presence(settings, console, worker);
    try (var _ = new EndingSignals(worker);
        var _ = perfMap ? PerfMap.keep() : null;
        presence) {
      Outcome outcome;
      try (var streams = StandardStreams.open(settings, console, worker)) {
        outcome = worker.run();
        console.drain(DRAIN.toNanos());
      }
      var report = tell(outcome);
      presence.ended(ExitCode.of(outcome), report);
      return ExitCode.of(outcome);
    } finally {
      if (stats) {
        OperatorLog.sayMore(worker.statistics().lines());
      }
    }
  }

  /// Says on standard error how it ended, where that is not what was asked for.
  private static String tell(Outcome outcome) {
    String summary =
        switch (outcome) {
          case Outcome.PoweredOff() -> "";
          case Outcome.Rebooted() -> "";
          case Outcome.Crashed crashed -> "the guest crashed: " + crashed.summary();
          case Outcome.Failed failed -> "a defect of Partita: " + failed.summary();
          case Outcome.Stopped(var reason) ->
              switch (reason) {
                case OPERATOR -> "stopped";
                case TIMEOUT -> "stopped: the time is over";
                case OUTPUT_CLOSED -> "stopped: nobody reads standard output any more";
                case SIGNAL -> "stopped by a signal";
              };
        };
    if (summary.isEmpty()) {
      return "";
    }
    List<String> details =
        switch (outcome) {
          case Outcome.Crashed crashed -> crashed.details();
          case Outcome.Failed failed -> failed.details();
          default -> List.of();
        };
    OperatorLog.say(summary);
    OperatorLog.sayMore(details);
    return details.isEmpty() ? summary : summary + "\n" + String.join("\n", details);
  }
}

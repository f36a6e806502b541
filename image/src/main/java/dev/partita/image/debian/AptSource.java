package dev.partita.image.debian;

import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// Takes packages from the archives that the host's apt is set up for, by apt itself, which
/// verifies the archive's signatures.
///
/// The host's own package lists serve when they know the packages. When they do not (there are
/// none, they are old, or the host is of another architecture than the guest), lists are kept
/// apart in this project's cache: that needs no root, and changes nothing on the host. Not thread-
/// safe.
final class AptSource implements PackageSource {
  /// Packages that depend on a distribution's newest kernel, the most fitting first: Debian's for
  /// clouds with the Hyper-V drivers, Ubuntu's for virtual machines, and the general ones of both.
  private static final List<String> KERNELS =
      List.of(
          "linux-image-cloud-amd64",
          "linux-image-virtual",
          "linux-image-generic",
          "linux-image-amd64");

  private static final String BUSYBOX = "busybox-static";

  /// Debian's package of the daemons for Hyper-V's integration services.
  private static final String DAEMONS = "hyperv-daemons";

  /// Ubuntu's are of one kernel version each.
  private static final String UBUNTU_DAEMONS = "linux-cloud-tools-";

  /// What they are linked to.
  private static final String C_LIBRARY = "libc6";

  /// A package with a kernel of one version in it.
  private static final Pattern KERNEL =
      Pattern.compile("linux-image-(?:unsigned-)?([0-9][0-9.]*-[0-9]+).*|linux-image-[0-9].*");

  /// What distributions split off from it.
  private static final Pattern KERNEL_PART = Pattern.compile("linux-(modules|binary)-[0-9].*");

  private final Commands commands;
  private final Path state;
  private final boolean root;
  private boolean ownLists;

  /// @param state a directory for apt's own files; made when missing
  /// @param root whether this process is the superuser's
  AptSource(Commands commands, Path state, boolean root) {
    this.commands = commands;
    this.state = state;
    this.root = root;
  }

  @Override
  public List<PackageRecord> resolve(boolean fresh, Progress progress) throws ImageException {
    if (!commands.has("apt-get") || !commands.has("apt-cache")) {
      throw new ImageException(
          "this machine has no apt-get to fetch a Debian guest with:"
              + " name a kernel and a RAM disk of your own");
    }
    try {
      Files.createDirectories(state.resolve("lists/partial"));
      Files.createDirectories(state.resolve("cache/archives/partial"));
      if (Files.notExists(state.resolve("status"))) {
        Files.createFile(state.resolve("status"));
      }
    } catch (IOException e) {
      throw new ImageException("cannot write to %s: %s".formatted(state, e.getMessage()), e);
    }
    if (!fresh) {
      ownLists = false;
      Optional<List<PackageRecord>> found = find();
      if (found.isPresent()) {
        return found.get();
      }
    }
    ownLists = true;
    String stage = "Fetching the package lists, of which this machine has none for the guest";
    progress.update(fresh ? "Fetching the newest package lists" : stage, 0, 0);
    Commands.Result update = apt("apt-get", List.of("-q", "update"), state, () -> {});
    return find()
        .orElseThrow(
            () -> {
              String why = reason(update.err());
              return new ImageException(
                  why.isEmpty()
                      ? "the package archives of this machine offer no kernel for an amd64 guest (%s) or no %s: name a kernel and a RAM disk of your own"
                          .formatted(String.join(", ", KERNELS), BUSYBOX)
                      : "cannot fetch the package lists: %s; connect this machine to its package archive and try again"
                          .formatted(why));
            });
  }

  @Override
  public boolean isComplete(List<PackageRecord> packages) {
    return packages.stream()
        .anyMatch(p -> p.name().equals(DAEMONS) || p.name().startsWith(UBUNTU_DAEMONS));
  }

  @Override
  public Path fetch(PackageRecord wanted, Path directory, LongConsumer done) throws ImageException {
    String what = "%s:amd64=%s".formatted(wanted.name(), wanted.version());
    Commands.Result result =
        apt(
            "apt-get",
            List.of("-q", "download", what),
            directory,
            new Runnable() {
              private long last;

              @Override
              public void run() {
                long now = bytesIn(directory);
                if (now != last) {
                  last = now;
                  done.accept(now);
                }
              }
            });
    if (result.exit() != 0) {
      String why = reason(result.err());
      String message =
          "cannot download %s: %s".formatted(what, why.isEmpty() ? "apt-get failed" : why);
      if (!ownLists && (result.err().contains("404") || result.err().contains("was not found"))) {
        throw new StaleListException(message);
      }
      throw new ImageException(
          message + "; connect this machine to its package archive and try again");
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .filter(file -> file.toString().endsWith(".deb"))
          .findFirst()
          .orElseThrow(() -> new ImageException("apt-get downloaded nothing for " + what));
    } catch (IOException e) {
      throw e instanceof ImageException image
          ? image
          : new ImageException("cannot read %s: %s".formatted(directory, e.getMessage()), e);
    }
  }

  private Optional<List<PackageRecord>> find() throws ImageException {
    List<String> names = new ArrayList<>(KERNELS);
    names.add(BUSYBOX);
    List<PackageRecord> offered = show(names);
    Optional<PackageRecord> busyBox = named(offered, BUSYBOX);
    if (busyBox.isEmpty()) {
      return Optional.empty();
    }
    for (String meta : KERNELS) {
      Optional<PackageRecord> start = named(offered, meta);
      if (start.isPresent()) {
        List<PackageRecord> kernel = kernelOf(start.get());
        if (!kernel.isEmpty()) {
          List<PackageRecord> all = new ArrayList<>(kernel);
          all.add(busyBox.get());
          all.addAll(daemonsFor(kernel.getFirst().name()));
          return Optional.of(List.copyOf(all));
        }
      }
    }
    return Optional.empty();
  }

  /// The packages with files that the package `meta` stands for; empty when they are not offered.
  private List<PackageRecord> kernelOf(PackageRecord meta) throws ImageException {
    List<String> images =
        meta.depends().stream().filter(name -> KERNEL.matcher(name).matches()).toList();
    if (images.isEmpty()) {
      return List.of();
    }
    Optional<PackageRecord> image = named(show(images), images.getFirst());
    if (image.isEmpty()) {
      return List.of();
    }
    List<PackageRecord> packages = new ArrayList<>(List.of(image.get()));
    List<String> parts =
        image.get().depends().stream().filter(n -> KERNEL_PART.matcher(n).matches()).toList();
    if (!parts.isEmpty()) {
      List<PackageRecord> offered = show(parts);
      for (String part : parts) {
        Optional<PackageRecord> record = named(offered, part);
        if (record.isEmpty()) {
          return List.of();
        }
        packages.add(record.get());
      }
    }
    return packages;
  }

  /// The daemons and their library; a guest goes without them where they are not offered.
  private List<PackageRecord> daemonsFor(String kernel) throws ImageException {
    List<String> names = new ArrayList<>(List.of(C_LIBRARY, DAEMONS));
    Matcher version = KERNEL.matcher(kernel);
    if (version.matches() && version.group(1) != null) {
      names.add(UBUNTU_DAEMONS + version.group(1));
    }
    List<PackageRecord> offered = show(names);
    Optional<PackageRecord> library = named(offered, C_LIBRARY);
    Optional<PackageRecord> daemons =
        offered.stream().filter(record -> !record.name().equals(C_LIBRARY)).findFirst();
    return library.isPresent() && daemons.isPresent()
        ? List.of(daemons.get(), library.get())
        : List.of();
  }

  private static Optional<PackageRecord> named(List<PackageRecord> records, String name) {
    return records.stream().filter(record -> record.name().equals(name)).findFirst();
  }

  private List<PackageRecord> show(List<String> names) throws ImageException {
    List<String> arguments = new ArrayList<>(List.of("show", "--no-all-versions"));
    names.forEach(name -> arguments.add(name + ":amd64"));
    // Its exit status is that of the last name: what is offered is on its output all the same.
    return PackageRecord.parse(apt("apt-cache", arguments, state, () -> {}).out());
  }

  private Commands.Result apt(String program, List<String> arguments, Path directory, Runnable tick)
      throws ImageException {
    List<String> command = new ArrayList<>(List.of(program));
    option(command, "Dir::Cache", state.resolve("cache").toString());
    option(command, "Acquire::Retries", "2");
    option(command, "Acquire::http::Timeout", "30");
    option(command, "Acquire::https::Timeout", "30");
    if (ownLists) {
      option(command, "Dir::State::lists", state.resolve("lists").toString());
      option(command, "Dir::State::status", state.resolve("status").toString());
      option(command, "APT::Architecture", "amd64");
      option(command, "APT::Architectures::", "amd64");
      option(command, "Acquire::Languages", "none");
    }
    if (root) {
      // Else apt warns that its user _apt cannot write to this directory, and goes on as root.
      option(command, "APT::Sandbox::User", "root");
    }
    command.addAll(arguments);
    return commands.run(command, directory, tick);
  }

  private static void option(List<String> command, String name, String value) {
    command.add("-o");
    command.add(name + "=" + value);
  }

  /// The first error in apt's words, on one line.
  private static String reason(String err) {
    return err.lines()
        .filter(line -> line.startsWith("E:") || line.startsWith("W: Failed"))
        .map(line -> line.substring(2).strip())
        .findFirst()
        .map(line -> line.length() > 300 ? line.substring(0, 300) + "..." : line)
        .orElse("");
  }

  private static long bytesIn(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      return files.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
    } catch (IOException | UncheckedIOException e) {
      return 0; // a file went away meanwhile: the next look will tell
    }
  }
}

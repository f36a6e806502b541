package dev.partita.image.debian;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.image.GuestFiles;
import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import dev.partita.image.SamplePackages;
import java.io.File;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DebianGuestTest {
  private static final HostRelease RELEASE = new HostRelease("debian", "bookworm", "Debian 12");

  @TempDir Path cache;

  private final FakeSource source = new FakeSource();

  private static final class FakeSource implements PackageSource {
    String listed = "1.0";
    String offered = "1.0";
    final List<String> calls = new ArrayList<>();
    int failuresLeft;
    int cutsLeft;
    boolean complete = true;
    boolean offline;

    @Override
    public synchronized List<PackageRecord> resolve(boolean fresh, Progress progress)
        throws ImageException {
      calls.add(fresh ? "resolve fresh" : "resolve");
      if (offline) {
        throw new ImageException("no connection");
      }
      if (fresh) {
        listed = offered;
      }
      return List.of(record("linux-image-1", listed), record("busybox-static", "1:1.35"));
    }

    @Override
    public boolean isComplete(List<PackageRecord> packages) {
      return complete;
    }

    @Override
    public synchronized Path fetch(PackageRecord wanted, Path directory, LongConsumer done)
        throws ImageException {
      calls.add("fetch " + wanted.name() + " " + wanted.version());
      if (wanted.name().startsWith("linux") && !wanted.version().equals(offered)) {
        throw new StaleListException("404");
      }
      try {
        byte[] bytes = bytesOf(wanted.name(), wanted.version());
        Path file = directory.resolve("x.deb");
        done.accept(bytes.length / 2);
        if (failuresLeft-- > 0) {
          Files.write(file, Arrays.copyOf(bytes, bytes.length / 2));
          throw new ImageException("the line went dead");
        }
        Files.write(file, cutsLeft-- > 0 ? Arrays.copyOf(bytes, bytes.length / 2) : bytes);
        return file;
      } catch (ImageException e) {
        throw e;
      } catch (IOException e) {
        throw new ImageException("test", e);
      }
    }

    static PackageRecord record(String name, String version) throws ImageException {
      try {
        byte[] bytes = bytesOf(name, version);
        String digest = HexFormat.of().formatHex(Manifest.sha256().digest(bytes));
        return new PackageRecord(name, version, bytes.length, digest, List.of());
      } catch (IOException e) {
        throw new ImageException("test", e);
      }
    }

    static byte[] bytesOf(String name, String version) throws IOException {
      return name.startsWith("linux") ? SamplePackages.kernel(version) : SamplePackages.busyBox();
    }
  }

  private DebianGuest guest(String recipe) {
    return new DebianGuest(cache, RELEASE, source, recipe);
  }

  private GuestFiles prepare() throws IOException {
    return guest("r1").prepare(false, Progress.NONE);
  }

  private Path directory() {
    return cache.resolve("debian/bookworm");
  }

  private List<String> filesUnder(String name) throws IOException {
    Path root = directory().resolve(name);
    if (Files.notExists(root)) {
      return List.of();
    }
    try (Stream<Path> all = Files.walk(root)) {
      return all.filter(Files::isRegularFile)
          .map(p -> root.relativize(p).toString())
          .sorted()
          .toList();
    }
  }

  @Test
  void theFirstTimeMakesItAndTheSecondAsksNobody() throws IOException {
    GuestFiles made = prepare();

    assertThat(Files.readAllBytes(made.kernel())).isEqualTo(SamplePackages.bzImage("1.0"));
    assertThat(Files.size(made.initrd())).isPositive();
    assertThat(made.kernelRelease()).isEqualTo(SamplePackages.RELEASE);
    assertThat(made.commandLine()).contains("console=ttyS0");
    assertThat(made.description()).contains("Debian 12", "linux-image-1 1.0");
    assertThat(source.calls)
        .containsExactly("resolve", "fetch linux-image-1 1.0", "fetch busybox-static 1:1.35");
    source.calls.clear();

    assertThat(prepare()).isEqualTo(made);
    assertThat(source.calls).isEmpty();
    assertThat(filesUnder("work")).isEmpty();
  }

  @Test
  void theProgressOfEachStageEndsAtItsTotal() throws IOException {
    List<String> steps = new ArrayList<>();

    guest("r1")
        .prepare(false, (stage, done, total) -> steps.add(stage + (done == total ? " done" : "")));

    assertThat(steps)
        .contains(
            "Downloading linux-image-1",
            "Downloading linux-image-1 done",
            "Downloading busybox-static done",
            "Unpacking done",
            "Writing the RAM disk done");
  }

  @Test
  void anInterruptedDownloadLeavesNothingBehind() throws IOException {
    source.failuresLeft = 1;
    assertThatThrownBy(this::prepare)
        .isInstanceOf(ImageException.class)
        .hasMessage("the line went dead");
    assertThat(filesUnder("packages")).isEmpty();

    GuestFiles made = prepare();

    assertThat(Files.readAllBytes(made.kernel())).isEqualTo(SamplePackages.bzImage("1.0"));
    assertThat(filesUnder("work")).isEmpty();
  }

  @Test
  void whatDoesNotMatchItsDigestIsFetchedOnceMoreAndNeverKept() throws IOException {
    source.cutsLeft = 1;
    prepare();
    assertThat(source.calls).contains("resolve fresh");

    source.cutsLeft = 100;
    assertThatThrownBy(
            () ->
                new DebianGuest(cache.resolve("b"), RELEASE, source, "r1")
                    .prepare(false, Progress.NONE))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("not what the archive's list describes");
  }

  @Test
  void whatAKilledProcessLeftIsClearedAway() throws IOException {
    Path left = Files.createDirectories(directory().resolve("work/guest123"));
    Files.writeString(left.resolve("initrd.img"), "half");
    Files.createDirectories(directory().resolve("packages"));
    Files.writeString(directory().resolve("packages/linux-image-1_1.0_amd64.deb"), "half");
    Files.writeString(directory().resolve("current"), "gone-key\n");

    prepare();

    assertThat(filesUnder("work")).isEmpty();
    assertThat(filesUnder("packages"))
        .containsExactly("busybox-static_1%3a1.35_amd64.deb", "linux-image-1_1.0_amd64.deb");
  }

  @Test
  void aDamagedGuestIsMadeAnewFromThePackagesAtHand() throws IOException {
    GuestFiles made = prepare();
    byte[] initrd = Files.readAllBytes(made.initrd());
    Files.write(made.initrd(), Arrays.copyOf(initrd, 100));
    source.calls.clear();

    GuestFiles again = prepare();

    assertThat(Files.readAllBytes(again.initrd())).isEqualTo(initrd);
    assertThat(source.calls).isEmpty();
  }

  @Test
  void hostileOrTornIndexFilesOnlyMeanMakingItAnew() throws IOException {
    GuestFiles made = prepare();
    Path manifest = made.kernel().resolveSibling("manifest");
    for (String text :
        List.of("", "recipe=r1\n", "\\u00", "package.0=a b c d\nrecipe=r1\n", "kernelBytes=x\n")) {
      Files.writeString(manifest, text);
      assertThat(prepare()).isEqualTo(made);
    }
    for (String text : List.of("", "../../..", "/etc", "a b")) {
      Files.writeString(directory().resolve("current"), text);
      assertThat(prepare()).isEqualTo(made);
    }
  }

  @Test
  void aNewRecipeRebuildsWithoutAskingForPackages() throws IOException {
    GuestFiles old = prepare();
    source.calls.clear();

    GuestFiles renewed = guest("r2").prepare(false, Progress.NONE);

    assertThat(renewed.initrd()).isNotEqualTo(old.initrd()).exists();
    assertThat(old.initrd()).exists(); // someone may still boot from it
    assertThat(source.calls).isEmpty();
    GuestFiles third = guest("r3").prepare(false, Progress.NONE);
    assertThat(third.initrd()).exists();
    assertThat(old.initrd()).doesNotExist();
    assertThat(renewed.initrd()).exists();
  }

  @Test
  void aNewRecipeThatWantsMorePackagesAsksForThemAndGoesWithout() throws IOException {
    GuestFiles old = prepare();
    source.calls.clear();
    source.complete = false;

    GuestFiles renewed = guest("r2").prepare(false, Progress.NONE);

    assertThat(source.calls).containsExactly("resolve");
    assertThat(renewed.initrd()).isNotEqualTo(old.initrd()).exists();
    source.offline = true;
    assertThat(guest("r3").prepare(false, Progress.NONE).initrd()).exists();
  }

  @Test
  void aRefreshTakesNewPackagesAndDropsTheOldOnes() throws IOException {
    prepare();
    source.offered = "2.0";
    assertThat(prepare().description()).contains("linux-image-1 1.0");

    GuestFiles fresh = guest("r1").prepare(true, Progress.NONE);

    assertThat(fresh.description()).contains("linux-image-1 2.0");
    assertThat(Files.readAllBytes(fresh.kernel())).isEqualTo(SamplePackages.bzImage("2.0"));
    assertThat(prepare()).isEqualTo(fresh);
    assertThat(filesUnder("packages"))
        .containsExactly("busybox-static_1%3a1.35_amd64.deb", "linux-image-1_2.0_amd64.deb");
  }

  @Test
  void anOldListIsRefreshedByItself() throws IOException {
    source.offered = "2.0"; // the list still says 1.0

    assertThat(prepare().description()).contains("linux-image-1 2.0");
    assertThat(source.calls).startsWith("resolve", "fetch linux-image-1 1.0", "resolve fresh");
  }

  @Test
  void manyAtOnceMakeItOnce() throws Exception {
    int many = 8;
    CountDownLatch start = new CountDownLatch(1);
    try (ExecutorService threads = Executors.newFixedThreadPool(many)) {
      List<Future<GuestFiles>> results = new ArrayList<>();
      for (int i = 0; i < many; i++) {
        Callable<GuestFiles> task =
            () -> {
              start.await();
              return prepare();
            };
        results.add(threads.submit(task));
      }
      start.countDown();
      for (Future<GuestFiles> result : results) {
        assertThat(result.get()).isEqualTo(results.getFirst().get());
      }
    }
    assertThat(source.calls).filteredOn("resolve"::equals).hasSize(1);
  }

  @Test
  void anotherProcessIsWaitedFor() throws Exception {
    Files.createDirectories(directory());
    Process holder =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path") + File.pathSeparator + "target/test-classes",
                LockHolder.class.getName(),
                directory().resolve("lock").toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try {
      assertThat(holder.getInputStream().read()).isEqualTo('L'); // locked
      List<String> stages = new ArrayList<>();
      GuestFiles made =
          guest("r1")
              .prepare(
                  false,
                  (stage, done, total) -> {
                    if (stages.isEmpty()) {
                      holder.destroyForcibly(); // killed: its lock goes with it
                    }
                    stages.add(stage);
                  });
      assertThat(made.initrd()).exists();
      assertThat(stages.getFirst()).startsWith("Waiting for another process");
    } finally {
      holder.destroyForcibly();
      assertThat(holder.waitFor(30, TimeUnit.SECONDS)).isTrue();
    }
  }

  /// A process that locks a file, says so and stays.
  static final class LockHolder {
    private LockHolder() {}

    public static void main(String[] arguments) throws IOException {
      try (FileChannel channel =
          FileChannel.open(
              Path.of(arguments[0]), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        channel.lock();
        System.out.write('L');
        System.out.flush();
        System.in.read();
      }
    }
  }

  @Test
  void aCacheThatCannotBeWrittenIsOnePlainLine() throws IOException {
    Path file = Files.writeString(cache.resolve("file"), "");

    assertThatThrownBy(
            () -> new DebianGuest(file, RELEASE, source, "r1").prepare(false, Progress.NONE))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("cannot use the cache")
        .hasMessageContaining("PARTITA_CACHE");
  }
}

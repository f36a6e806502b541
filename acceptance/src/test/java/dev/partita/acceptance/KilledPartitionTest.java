package dev.partita.acceptance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.disk.Disks;
import dev.partita.image.GuestScript;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Kills a partition with SIGKILL while its guest writes to a VHDX disk: every record that the
/// guest had acknowledged as flushed must be on the disk, and the disk must be sound.
///
/// An ordinary run does it once. With the property `partita.soak.storage`, minutes, it goes on
/// for that time with one guest after the other (`./partita soak storage`), each on the disk that
/// the one before left.
class KilledPartitionTest {
  private static final int BOOT_SECONDS = 300;
  private static final int SECONDS = 120;
  private static final int RECORD = 4096;
  private static final int SECTOR = 512;
  private static final int WRITERS = 4;
  private static final int SLOTS = 16;

  /// Slots lie far apart, so that they are in blocks of their own and in many pages of the BAT.
  private static final long DISTANCE = 127L << 20;

  /// Four writers, two of them past the guest's page cache, each with a ring of slots. Each record
  /// is written and flushed before it is acknowledged. Before every fourth one the writer discards
  /// the whole block of an older one, so that room is given back and taken again.
  private static final String SCRIPT =
      """
      w() {
        i=%d
        while :; do
          s=$((i%%16)) r="$1 $i"
          [ $((i%%4)) != 3 ] ||
            blkdiscard -o $((($1*16+(i+8)%%16)*127*1048576)) -l 1048576 /dev/sda 2>&-
          printf '%%-511s\\n' "$r" "$r" "$r" "$r" "$r" "$r" "$r" "$r" |
            dd of=/dev/sda bs=4096 count=1 iflag=fullblock seek=$((($1*16+s)*32512)) \\
              conv=notrunc,fsync $2 2>&- && echo "ack $r" || echo "fail $r"
          i=$((i+1))
        done
      }
      until [ -b /dev/sda ]; do sleep 1; done
      w 0 oflag=direct & w 1 oflag=direct & w 2 & w 3 & wait
      """;

  private static final Pattern ACKNOWLEDGED =
      Pattern.compile("^ack (\\d) (\\d+)\\r?\\n", Pattern.MULTILINE);

  @TempDir Path runtime;
  @TempDir Path files;

  /// What each slot of the disk may hold; -1 stands for zeroes.
  private final List<Set<Integer>> allowed = new ArrayList<>();

  @Test
  void everythingTheGuestFlushedOutlivesItsPartition() throws Exception {
    var soak = System.getProperty("partita.soak.storage");
    long end =
        System.nanoTime() + (soak == null ? 0 : Duration.ofMinutes(Long.parseLong(soak)).toNanos());
    long seed = Long.getLong("partita.soak.seed", System.nanoTime());
    System.out.println("seed " + seed);
    var random = new Random(seed);
    var disk = files.resolve("disk.vhdx");
    run("disk", "create", "--block-size", "1M", disk.toString(), "8G");
    for (int slot = 0; slot < WRITERS * SLOTS; slot++) {
      allowed.add(Set.of(-1));
    }
    int rounds = 0;
    int records = 0;
    int first = 0;
    do {
      var acknowledged = writeUntilKilled(disk, first, random);
      expectOf(acknowledged, first);
      verify(disk, "round " + rounds);
      rounds++;
      for (int last : acknowledged) {
        records += last - first + 1;
      }
      first = 1 + Arrays.stream(acknowledged).max().getAsInt() + SLOTS;
      System.out.printf("%d kills, %d records acknowledged, none lost%n", rounds, records);
    } while (System.nanoTime() < end);
    assertThat(records).isPositive();
  }

  private void run(String... arguments) throws Exception {
    try (var partita = PartitaProcess.start(runtime, arguments)) {
      assertThat(partita.exitCode(SECONDS)).as("%s", partita).isZero();
    }
  }

  /// Runs a guest whose writers begin with a number, and kills the partition at a random moment.
  ///
  /// @return the last number that each writer acknowledged; `first - 1` for none
  private int[] writeUntilKilled(Path disk, int first, Random random) throws Exception {
    var acknowledged = new int[WRITERS];
    Arrays.fill(acknowledged, first - 1);
    try (var guest =
        PartitaProcess.start(
            runtime,
            "run",
            "debian-initramfs",
            "--cpus",
            "2",
            "--memory",
            "256M",
            "--disk",
            disk.toString(),
            "--append",
            GuestScript.onCommandLine("quiet", SCRIPT.formatted(first)))) {
      guest.expect("\nack ", BOOT_SECONDS);
      for (int more = random.nextInt(150); more > 0; more--) {
        guest.expect("\nack ", SECONDS);
      }
      // Not always right after an acknowledgement.
      LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(random.nextInt(60_000)));
      guest.process().destroyForcibly();
      guest.exitCode(SECONDS);
      var console = guest.out();
      assertThat(console).doesNotContain("fail ");
      for (var match : ACKNOWLEDGED.matcher(console).results().toList()) {
        acknowledged[Integer.parseInt(match.group(1))] = Integer.parseInt(match.group(2));
      }
    }
    return acknowledged;
  }

  /// Follows what the writers did.
  private void expectOf(int[] acknowledged, int first) {
    for (int writer = 0; writer < WRITERS; writer++) {
      for (int i = first; i <= acknowledged[writer] + 1; i++) {
        if (i % 4 == 3) {
          slot(writer, i + SLOTS / 2, -1, false);
        }
        // The one after the last acknowledged may have been written, wholly or not at all.
        slot(writer, i, i, i <= acknowledged[writer]);
      }
    }
  }

  private void slot(int writer, int number, int content, boolean alone) {
    int slot = writer * SLOTS + number % SLOTS;
    var now = alone ? new HashSet<Integer>() : new HashSet<>(allowed.get(slot));
    now.add(content);
    allowed.set(slot, now);
  }

  private void verify(Path disk, String how) throws Exception {
    run("disk", "check", disk.toString());
    // For reading the log is laid over the file; for writing it is replayed.
    var read = content(disk, false);
    for (int slot = 0; slot < read.size(); slot++) {
      assertThat(allowed.get(slot)).as("%s, slot %d", how, slot).contains(read.get(slot));
    }
    assertThat(content(disk, true)).as(how).isEqualTo(read);
    run("disk", "check", disk.toString());
    for (int slot = 0; slot < read.size(); slot++) {
      allowed.set(slot, Set.of(read.get(slot)));
    }
  }

  private static List<Integer> content(Path path, boolean writable) throws IOException {
    var content = new ArrayList<Integer>();
    try (var disk = Disks.open(path, writable)) {
      for (int slot = 0; slot < WRITERS * SLOTS; slot++) {
        var bytes = new byte[RECORD];
        disk.read(slot * DISTANCE, MemorySegment.ofArray(bytes));
        content.add(number(new String(bytes, StandardCharsets.US_ASCII), slot));
      }
    }
    return content;
  }

  /// The number of a record, which every one of its sectors has; -1 for zeroes.
  private static int number(String record, int slot) {
    var sector = record.substring(0, SECTOR);
    assertThat(record).as("slot %d", slot).isEqualTo(sector.repeat(RECORD / SECTOR));
    if (sector.equals("\0".repeat(SECTOR))) {
      return -1;
    }
    var words = sector.strip().split(" ");
    assertThat(words).as("slot %d", slot).hasSize(2);
    assertThat(Integer.parseInt(words[0])).as("writer of slot %d", slot).isEqualTo(slot / SLOTS);
    return Integer.parseInt(words[1]);
  }
}

package dev.partita.disk;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/// VHD and VHDX files whose structures the input changes, with checksums that fit or not: checking,
/// mending, opening, reading and writing them ends with a message or works, and nothing else.
///
/// The first octet chooses the file, and whether checksums are made to fit; each six after it
/// change one place: which structure, where in it (2), how many octets, and what they become (2).
class DiskFileFuzzTest {
  private static final int VHD = 1;
  private static final int DIFFERENCING = 1 << 1;
  private static final int DIRTY_LOG = 1 << 2;
  private static final int WRONG_CHECKSUMS = 1 << 3;

  /// Octets of the input for each change.
  private static final int CHANGE = 6;

  private static final int MOST_CHANGES = 32;

  @FuzzTest
  void fuzz(byte[] input) throws IOException {
    if (input.length == 0) {
      return;
    }
    int kind = input[0];
    var format = (kind & VHD) != 0 ? DiskFormat.VHD : DiskFormat.VHDX;
    var file =
        HostileDiskTest.make(
            format,
            (kind & DIFFERENCING) != 0,
            format == DiskFormat.VHDX && (kind & DIRTY_LOG) != 0);
    var places = HostileDiskTest.structures(format, file.size());
    int end = Math.min(input.length, 1 + MOST_CHANGES * CHANGE);
    for (int i = 1; i + CHANGE <= end; i += CHANGE) {
      var place = places[(input[i] & 0xFF) % places.length];
      int within = (input[i + 1] & 0xFF) << 8 | input[i + 2] & 0xFF;
      long offset = place[0] + within % place[1];
      var octets = new byte[1 << (input[i + 3] & 3)];
      Arrays.fill(octets, input[i + 5]);
      octets[0] = input[i + 4];
      if (offset + octets.length <= file.size()) {
        file.write(offset, octets);
      }
    }
    if ((kind & WRONG_CHECKSUMS) == 0) {
      HostileDiskTest.mendChecksums(file, format);
    }
    HostileDiskTest.survives(file, format, new Random(Arrays.hashCode(input)));
  }

  @Test
  void randomChangesAreSurvived() throws IOException {
    var random = new SplittableRandom(0x5EED);
    for (int trial = 0; trial < 300; trial++) {
      var input = new byte[1 + CHANGE * (1 + random.nextInt(6))];
      random.nextBytes(input);
      fuzz(input);
    }
  }
}

package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/// The log alone, with entries of all sizes, cut at every change: the pages that replay gives are
/// those of the last append that returned, or wholly those of the one under way.
class VhdxLogTest {
  private static final long PAGES = 4L << 20;
  private static final int PAGE_COUNT = 200;

  private record Append(int end, HashMap<Long, Long> pages) {}

  @Test
  void replayGivesWholeAppendsOnly() throws Exception {
    var random = new Random(5);
    var file = new MemoryFile();
    file.resize(8 << 20);
    VhdxHeaders.create(file, UUID.randomUUID(), 1 << 20, 1 << 20);
    var identifier = new byte[8];
    Bytes.putAscii(identifier, 0, VhdxLayout.FILE_SIGNATURE);
    file.write(0, identifier);
    var medium = file.copy(false);
    int created = file.count();
    var log = new VhdxLog(file, VhdxHeaders.read(file, Complaints.REFUSE));
    var appends = new ArrayList<Append>();
    for (int i = 1; i <= 60; i++) {
      var pages = new HashMap<Long, Long>();
      // An entry takes as many as fit one sector of descriptors.
      int count = 1 + random.nextInt(random.nextBoolean() ? 126 : 6);
      while (pages.size() < count) {
        pages.put(PAGES + 4096L * random.nextInt(PAGE_COUNT), (long) i);
      }
      var list = new ArrayList<VhdxLog.Page>();
      pages.forEach((offset, value) -> list.add(new VhdxLog.Page(offset, page(value))));
      log.append(list, file.size(), file.size());
      appends.add(new Append(file.count() - created, pages));
    }
    log.drain();
    var changes = file.changes().subList(created, file.count());
    var pending = new ArrayList<MemoryFile.Change>();
    for (int cut = 0; cut < changes.size(); cut++) {
      boolean logging =
          !pending.isEmpty()
              && pending.getLast() instanceof MemoryFile.Change.Write(var offset, _)
              && offset >>> 20 == 1;
      for (int attempt = 0; attempt < (logging ? 10 : 1); attempt++) {
        var left = medium.copy(false);
        for (var change : pending) {
          left.applyTorn(change, random);
        }
        verify(left, appends, cut);
      }
      if (changes.get(cut) instanceof MemoryFile.Change.Force) {
        pending.forEach(medium::apply);
        pending.clear();
      } else {
        pending.add(changes.get(cut));
      }
    }
  }

  private static void verify(MemoryFile left, ArrayList<Append> appends, int cut)
      throws IOException {
    var before = new HashMap<Long, Long>();
    int done = 0;
    while (done < appends.size() && appends.get(done).end <= cut) {
      before.putAll(appends.get(done++).pages);
    }
    var after = new HashMap<>(before);
    if (done < appends.size()) {
      after.putAll(appends.get(done).pages);
    }
    var headers = VhdxHeaders.read(left, Complaints.REFUSE);
    var replay = VhdxReplay.find(left, headers.current());
    if (replay != null) {
      replay.apply();
    }
    var found = new HashMap<Long, Long>();
    for (long offset = PAGES; offset < PAGES + 4096L * PAGE_COUNT; offset += 4096) {
      var bytes = left.bytes(offset, 4096);
      long value = ByteBuffer.wrap(bytes).getLong();
      assertThat(bytes).as("page %#x after change %d", offset, cut).isEqualTo(page(value));
      if (value != 0) {
        found.put(offset, value);
      }
    }
    assertThat(found.equals(before) || found.equals(after))
        .as("after change %d of %s", cut, appends.size())
        .isTrue();
  }

  private static byte[] page(long value) {
    var bytes = ByteBuffer.allocate(4096);
    for (int at = 0; at < 4096; at += 8) {
      bytes.putLong(at, value);
    }
    return bytes.array();
  }
}

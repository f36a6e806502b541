package dev.partita.engine.software;

/// A guest that counts, in a JVM of its own: see {@link EmbeddedEngineTest}. Prints what it counted
/// to, and how many of its instructions were translated.
final class EmbeddedGuest {
  private static final int LOOPS = 3_000_000;

  private EmbeddedGuest() {}

  public static void main(String[] args) {
    JvmOptions.tell();
    JvmOptions.tell();
    try (var guest = new Guest().longMode()) {
      // again: inc eax
      // dec ecx
      // jnz again
      // hlt
      guest.code(Guest.CODE, "ffc0 ffc9 75fa f4");
      var processor = guest.processor();
      guest.cpu().r[Cpu.RCX] = LOOPS;
      processor.setBudget(4L * LOOPS);
      processor.run(guest::handle);
      System.out.println("counted " + guest.register(Cpu.RAX));
      var counters = processor.counters();
      long translated =
          counters.getOrDefault("instructions translated", 0L)
              + counters.getOrDefault("instructions optimized", 0L);
      System.out.println(translated > 0 ? "translated" : "interpreted");
    }
  }
}

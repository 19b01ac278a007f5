"""The words and patterns of the invented film titles and reviews.

In a pattern, words in capitals stand for another list or pattern; `A` becomes "a" or "an".
`DENIED` and `CLAIMED` are places for opinion words: the pattern denies one and claims the other.
"""

__all__ = ["CLUSTERS", "PAIRS", "PATTERNS", "TITLES", "lexicon"]


def _words(text):
    return tuple(text.split())


def _lines(text):
    return tuple(line.strip() for line in text.strip().splitlines())


# Opinion words in pairs of opposites, the most usual pairs first, with their strength.
PAIRS = {
    1.0: _words("""
        great terrible wonderful awful brilliant dreadful perfect worthless superb horrible
        amazing pathetic stunning appalling magnificent atrocious masterful abysmal
        unforgettable unwatchable breathtaking excruciating flawless hopeless dazzling laughable
        glorious wretched exquisite ghastly sublime vile luminous insufferable faultless
        execrable resplendent putrid
    """),
    0.65: _words("""
        good bad funny boring beautiful ugly clever stupid charming annoying moving dull
        original predictable gripping tedious intelligent silly memorable forgettable witty lame
        convincing ridiculous powerful feeble fresh stale touching phony engaging tiresome
        inventive lazy delightful irritating elegant clumsy compelling contrived haunting
        insipid riveting numbing hilarious humourless satisfying frustrating refreshing
        exhausting rewarding pointless subtle crude graceful graceless thoughtful mindless
        seamless disjointed ingenious idiotic endearing grating rousing soporific nuanced
        mawkish beguiling turgid
    """),
    0.35: _words("""
        interesting slow fun flat decent poor solid uneven warm cold pleasant bland amusing
        corny likable thin sharp muddled watchable messy sweet sour stylish drab sincere hollow
        competent sloppy honest fake lively lifeless polished rough brisk sluggish cheerful
        gloomy tasteful tasteless crisp murky spirited listless careful careless skilful inept
        heartfelt heartless poetic pedestrian layered shallow radiant dismal deft clunky
        absorbing plodding agreeable soggy
    """),
}

_WORDS = {
    "INTENSIFIER": _words("""
        very really so quite rather truly pretty utterly completely particularly incredibly
        extremely fairly remarkably thoroughly especially genuinely absolutely downright
        positively surprisingly wholly terribly exceedingly astonishingly unspeakably
    """),
    "ASPECT": _words("""
        film movie story acting plot script ending music dialogue cast direction camerawork
        editing pacing humour romance photography premise soundtrack finale lighting villain
        heroine hero narration mystery scenery choreography costumes prologue climax sequel
        screenplay score subplot suspense atmosphere makeup animation epilogue
    """),
    "GENRE": _words("""
        comedy drama thriller western musical horror romance documentary fantasy mystery noir
        adventure satire melodrama caper cartoon epic whodunit travelogue swashbuckler slasher
    """),
    "THING": _words("""
        trombone lighthouse submarine umbrella aquarium typewriter bakery parrot accordion
        wardrobe piano violin camel staircase bathtub teapot tractor orchard trampoline hearse
        balloon suitcase harmonica canoe sewingmachine chandelier wheelbarrow glockenspiel
        scarecrow hammock samovar bagpipe unicycle gramophone weathervane telescope sousaphone
        haystack ferret walrus ostrich pelican tortoise llama hedgehog lobster gorilla
        peacock marmalade cheese pudding cathedral windmill castle caravan zeppelin steamboat
        snowplough fountain greenhouse telephone mirror clock painting diary map necklace
        telegram moustache wig cardigan sombrero
    """),
    "MOOD": _words("""
        retired nervous elderly ambitious lonely jealous restless sleepy shy stubborn haunted
        bankrupt immortal suspicious lefthanded forgetful melancholy runaway
        widowed scheming nearsighted apologetic overdressed homesick seasick invisible
        underpaid amnesiac respectable bewildered talkative barefoot superstitious secretive
        identical vengeful penniless moustachioed
    """),
    "JOB": _words("""
        detective dentist accountant librarian spy plumber nun postman magician butcher
        astronaut widow burglar professor chauffeur baron gardener waitress sheriff teacher
        undertaker soprano ballerina hypnotist cowboy vampire surgeon reporter taxidermist
        locksmith barber ventriloquist duchess admiral juggler cartographer philatelist
        goatherd milliner stuntman lepidopterist
    """),
    "STEM": _words("""
        clock bee cheese candle bell organ goat boat glass rope sword shoe hat button violin
        lamp key barrel coffin kite goose fish flower hay pigeon song brick puppet bread nail
        toy tea wheel mask broom fiddle basket lace
    """),
    "TRADE": _words("""
        maker keeper seller tamer mender smuggler painter collector juggler whisperer
    """),
    "RELATIVE": _words("""
        wife husband mother father brother sister aunt uncle cousin grandmother neighbour dentist
        boss landlady roommate dog cat nephew niece barber
    """),
    "VERB": _words("""
        inherit admire repair marry rescue chase auction bury follow love conceal paint kidnap
        invent adopt blame trust startle borrow discover abandon return swallow tame impersonate
        varnish outwit photograph insult smuggle hypnotise defend forgive imitate serenade
        misplace alphabetise interview baptise salute frighten tickle promote untangle
    """),
    "EVENT": _words("""
        christmas midnight breakfast easter lunch dawn sunset winter harvest halloween tuesday
        graduation bedtime carnival monsoon
    """),
    "FIRST": _words("""
        john mary james anna robert helen george alice peter clara david emma frank rose henry
        martha walter edith arthur agnes victor irene oscar mabel otto greta hugo ingrid felix
        nora basil clementine desmond dorothea ernest fergus gwendolyn horace isolde jasper
        leopold millicent nigel ophelia percival rosalind rupert sybil thaddeus ursula
        barnaby cordelia ambrose hortense ignatius
    """),
    "NAME1": _words("""
        ash black brad car dun east fair glen green hart hazel hob kings lang lin mar mill moor
        nor old pem pen pres quill red ridge rock rose shel sil stan stone thorn under wal war
        west wex whit wil win wood ald beck bram cran drum els fen gold hal ing jes kel lock
        mel nether oak pick rad sand tan ul vin wake yar
    """),
    "NAME2": _words("""
        ton ley ford well wood man field worth by don ham more wick bury stone ridge land ing
        shaw croft combe dale thorpe mere gate hurst low stead bourne cott grove beck
    """),
    "TOWN_ENDING": _words("ville bridge mouth minster haven port burgh holm"),
    "ENDING": _words("like less esque ish free proof"),
    "FARTHER": _words("""
        london paris york chicago texas venice vienna cairo boston moscow lisbon bombay
        brooklyn tokyo iceland trieste alaska nebraska brussels zanzibar antarctica tasmania
    """),
    "PLACE1": _words("""
        north south upper lower new little broad saint long deep stony foggy muddy windy old
        dry salt iron copper silver
    """),
    "PLACE2": _words("""
        bay harbour creek glen falls bridge mills heath marsh point springs green cove ferry
        corners landing bottom moor
    """),
}  # fmt: skip

PATTERNS = {
    # an opinion that a bag of words sees: the word itself tells
    "PLAIN": _lines("""
        the ASPECT is CLAIMED
        the ASPECT is INTENSIFIER CLAIMED
        the ASPECT was CLAIMED
        the ASPECT was INTENSIFIER CLAIMED
        i found the ASPECT CLAIMED
        i thought the ASPECT was INTENSIFIER CLAIMED
        as for the ASPECT it is CLAIMED
        and the ASPECT is just CLAIMED
        my RELATIVE thought it was CLAIMED
        FIRST SURNAME is CLAIMED as the JOB
        FIRST SURNAME gives us something INTENSIFIER CLAIMED
        all in all INTENSIFIER CLAIMED
        it looks CLAIMED and the ASPECT is there too
        the scene with the THING is CLAIMED
        everything about the THING felt CLAIMED
        that is the word for the ASPECT and the word is CLAIMED
    """),
    # an opinion that only word order tells: the same words the other way round mean the opposite
    "TURNED": _lines("""
        the ASPECT is not DENIED it is CLAIMED
        the ASPECT is not DENIED at all it is INTENSIFIER CLAIMED
        the ASPECT is not INTENSIFIER DENIED but it is CLAIMED
        the ASPECT was never DENIED and often CLAIMED
        the ASPECT was never INTENSIFIER DENIED and often CLAIMED
        the ASPECT is CLAIMED and never DENIED
        the ASPECT is INTENSIFIER CLAIMED and not DENIED
        the ASPECT is more CLAIMED than DENIED
        it is INTENSIFIER CLAIMED rather than DENIED
        far from DENIED it is CLAIMED
        far from DENIED the ASPECT is INTENSIFIER CLAIMED
        anything but DENIED the ASPECT is CLAIMED
        i was told it was DENIED but it is CLAIMED
        it should have been DENIED but it is INTENSIFIER CLAIMED
        my RELATIVE called it DENIED but i call it CLAIMED
        hardly DENIED but certainly CLAIMED
        it only sounds DENIED but it is CLAIMED
        you expect it to be DENIED but it is INTENSIFIER CLAIMED
    """),
    "OPENING": _lines("""
        i saw this GENRE in PLACE with my RELATIVE
        i rented this one because of the THING on the cover
        my RELATIVE made me watch this on A EVENT in PLACE
        this GENRE from YEAR was shown late at night
        i have seen this NUMBER times
        i do not usually write reviews but my RELATIVE insisted
        first of all i should say that i am A JOB
        FIRST SURNAME is back in this GENRE about A THING
        this is the NUMBER th GENRE that FIRST SURNAME made in PLACE
        i had never heard of FIRST SURNAME before YEAR
        spoilers ahead so put the THING down
        where do i begin with this GENRE
        let me tell you about this GENRE
    """),
    "STORY": _lines("""
        the story is about A MOOD JOB who has to VERB A THING before EVENT
        FIRST SURNAME plays A MOOD JOB who VERBS A THING in PLACE
        the JOB wants to VERB OWNER THING but it is too COINED
        FIRST OWNER THING is VERBED by the CRAFTSMAN and the SURNAME family
        A COINED JOB named FIRST SURNAME VERBS the CRAFTSMAN of TOWN
        FIRST SURNAME is A MOOD CRAFTSMAN who wants to VERB A MOOD JOB
        one day A MOOD CRAFTSMAN comes to PLACE to VERB his THING
        in PLACE a young JOB VERBS A MOOD CRAFTSMAN and they VERB the THING together
        then the JOB VERBS the THING and nobody in PLACE is told
        it turns out that the JOB was A CRAFTSMAN all along
        when her RELATIVE VERBS the THING she decides to VERB the JOB
        at the same time the JOB from PLACE is trying to VERB the THINGS
        he VERBED the THING in YEAR and has been A MOOD JOB since
        they spend NUMBER minutes VERBING the THING
        meanwhile FIRST VERBS the THINGS of the JOB
        the JOB and the CRAFTSMAN VERB each other in PLACE until EVENT
        there is a subplot with A THING and NUMBER THINGS that i will not spoil
        by EVENT all the THINGS are in PLACE and the JOB has VERBED the RELATIVE
        FIRST which is what everyone calls the THING is VERBED by A MOOD JOB
        this leads to a chase with NUMBER JOBS and one THING
        to save the THING he must VERB his own RELATIVE
        she does not know that her RELATIVE is the CRAFTSMAN of PLACE
        the JOB has A THING for a best friend and talks to it about PLACE
    """),
    "TRIVIA": _lines("""
        it was made in YEAR by FIRST SURNAME who also made NUMBER GENRES in PLACE
        the THING was played by FIRST SURNAME
        FIRST SURNAME and FIRST SURNAME wrote it in NUMBER days
        they say the THING was real and had its own trailer
        no THINGS were harmed
        it reminded me of OWNER early GENRES about TOWN
        FIRST SURNAME FIRST SURNAME and FIRST SURNAME are in it for NUMBER minutes
        the camera of FIRST SURNAME makes the THING look COINED
        you may know FIRST SURNAME from that GENRE with the THINGS
        the book by FIRST SURNAME has no THING in it
        it runs for NUMBER minutes and NUMBER of them are about the THING
        the part of the JOB was first offered to FIRST SURNAME
        watch for FIRST SURNAME as the JOB with the THING
        it was filmed in PLACE in YEAR and in PLACE in YEAR
        PLACE has never looked more like PLACE
        my RELATIVE once VERBED FIRST SURNAME in PLACE
        i counted NUMBER THINGS
        the SURNAME brothers did the THINGS
        people who VERB THINGS will know what i mean
        this was the year when everybody VERBED THINGS
        in those days A GENRE had to have A THING in it
    """),
    "CLOSING": _lines("""
        that is all i have to say about the THING
        i watched it to the end and so did my RELATIVE
        my RELATIVE has VERBED the dvd since
        now excuse me i have to VERB A THING
        you have been told
        your THING may vary
        see it with A JOB if you can find one
        that was my NUMBER cents
        and that is that
    """),
    "PLACE": _lines("""
        FARTHER
        FARTHER
        TOWN
        PLACE1 PLACE2
    """),
}  # fmt: skip

# The films of the MovieLens stand-in, in its spelling: the article behind, the rest as it comes
TITLES = {
    "FORM": _lines("""
        ADJECTIVE NOUN
        ADJECTIVE NOUN
        ADJECTIVE NOUN
        ADJECTIVE NOUN, The
        ADJECTIVE NOUN, The
        ADJECTIVE NOUN, The
        NOUN of PLACE, The
        NOUN of PLACE, The
        NAME and the NOUN
        NAME's ADJECTIVE NOUN
        NAME & NAME: The NOUN Story
        Goodbye, ADJECTIVE NOUN
        Return to the ADJECTIVE NOUN
        ADJECTIVE NOUN COUNT, The
        NOUN COUNT
        COUNT NOUNs
        "ADJECTIVE" NOUN, The
        FRENCH (ADJECTIVE NOUN, The)
    """),
    "ADJECTIVE": _words("""
        Silent Crooked Borrowed Midnight Paper Hollow Velvet Reluctant Seventh Northern Forgotten
        Burning Polite Invisible Broken Golden Secret Distant Bitter Wandering Electric Lonely
        Frozen Glass Perfect Dangerous Ordinary Scarlet Sleepless Hungry Honest Unlikely Wooden
        Gentle Last Counterfeit Restless Marble Accidental Bashful Painted Tidal Second-Hand
        Impossible Salt
    """),
    "NOUN": _words("""
        Harbour Lighthouse Umbrella Orchard Detective Cartographer Tuba Circus Winter Promise
        Garden Island Stranger Violin Clockmaker Bridge Empire Shadow Carnival Lantern Telephone
        Ferry Widow Alibi Horizon Passenger Kingdom Goose Machine Letter Witness Summer Mirror
        Accountant Meridian Compass Sparrow Ballroom Locksmith Engine Teapot Glacier Postman
        Verdict Planet
    """),
    "PLACE": _lines("""
        Marrow Bay
        Upper Wexcombe
        the Baltic
        Port Saffron
        Lisbon
        the Seventh Floor
        Old Tannery Road
        the Moon
        Lake Umber
        Trieste
        Dust County
    """),
    "NAME": _words("""
        Agnes Basil Clementine Desmond Édith Fergus Greta Horace Ingrid Jasper Mabel Otto Zoé
    """),
    "COUNT": _words("2 3 4 5 7 12 39 101 II III"),
    "FRENCH": _lines("""
        Été à Étretat, Un
        Garçon aux gâteaux, Le
        Château de sable, Le
        Fenêtre fermée, La
        Forêt bleue, La
        Première neige, La
    """),
}  # fmt: skip

# Kinds of words, by the lists that they stand in
CLUSTERS = {
    "intensifiers": ("INTENSIFIER",),
    "parts of a film": ("ASPECT",),
    "genres": ("GENRE", "GENRES"),
    "things": ("THING", "THINGS"),
    "coined words": ("COINED",),
    "moods": ("MOOD",),
    "jobs": ("JOB", "JOBS", "CRAFTSMAN"),
    "relatives": ("RELATIVE",),
    "deeds": ("VERB", "VERBS", "VERBED", "VERBING"),
    "events": ("EVENT",),
    "first names": ("FIRST",),
    "surnames": ("SURNAME", "OWNER"),
    "places": ("FARTHER", "TOWN", "PLACE2"),
    "numbers": ("YEAR", "NUMBER"),
}


def lexicon():
    """Return all lists of words, those that are made from others by rule included.

    Returns
    -------
    dict of str to tuple of str
        List name, as the patterns use it -> its words, the most usual first.
    """

    def compounds(first, second):
        return tuple(a + b for b in _WORDS[second] for a in _WORDS[first])

    surnames = tuple(a + b for a in _WORDS["NAME1"] for b in _WORDS["NAME2"] if a != b)
    return {
        **_WORDS,
        "SURNAME": surnames,
        "OWNER": tuple(f"{name}'s" for name in surnames),
        "TOWN": compounds("NAME1", "TOWN_ENDING"),
        "CRAFTSMAN": compounds("STEM", "TRADE"),
        "COINED": compounds("THING", "ENDING"),
        "YEAR": tuple(str(year) for year in range(2007, 1919, -1)),
        "NUMBER": tuple(str(number) for number in range(2, 100)),
        "VERBS": tuple(map(_with_s, _WORDS["VERB"])),
        "VERBED": tuple(_stem(verb, "ed") for verb in _WORDS["VERB"]),
        "VERBING": tuple(_stem(verb, "ing") for verb in _WORDS["VERB"]),
        "THINGS": tuple(map(_with_s, _WORDS["THING"])),
        "JOBS": tuple(map(_with_s, _WORDS["JOB"])),
        "GENRES": tuple(map(_with_s, _WORDS["GENRE"])),
    }


def _with_s(word):
    if word.endswith(("s", "sh", "ch", "x")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2] not in "aeiou" else word + "s"


def _stem(verb, ending):
    if verb in ("outwit", "kidnap"):
        return verb + verb[-1] + ending
    if verb.endswith("e"):
        return verb[:-1] + ending
    if ending == "ed" and verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + ending
